//! Signed commitment artifacts, bundles and the verifier: pure.
