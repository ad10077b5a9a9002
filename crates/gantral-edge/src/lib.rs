//! The runner: claims work, verifies, launches a fresh process.
