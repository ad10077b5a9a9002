# The few commands people type. Everything works without `just` too: look at the right-hand side.

# Lists the recipes.
default:
    @just --list

# Everything that CI runs.
test:
    cargo xtask test

# Format, tidy, clippy, floor 0, licences and bans.
check:
    cargo xtask check

# Formats all code.
fmt:
    cargo fmt --all

# The whole story in half a minute.
demo *arguments:
    cargo run --release --bin gantral -- demo {{arguments}}
