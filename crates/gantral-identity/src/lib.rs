//! Tokens to principals: who is asking, from verified issuers only.
