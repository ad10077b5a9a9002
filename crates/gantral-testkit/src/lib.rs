//! Fault plans, a local issuer and snapshot filters for the tests.
