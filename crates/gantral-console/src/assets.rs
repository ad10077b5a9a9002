//! What pages load: a style and scripts, from the server itself.

/// What a page may do: load our style and our scripts, send forms to us, and be framed by nobody. Nothing inline, nothing from elsewhere.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
     img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// One file.
#[derive(Debug, Clone, Copy)]
pub struct Asset {
    /// Its path.
    pub path: &'static str,
    /// What it is.
    pub content_type: &'static str,
    /// The file.
    pub body: &'static str,
}

/// Every file.
pub const ASSETS: &[Asset] = &[
    Asset {
        path: "/console/console.css",
        content_type: "text/css; charset=utf-8",
        body: include_str!("../assets/console.css"),
    },
    Asset {
        path: "/console/console.js",
        content_type: "text/javascript; charset=utf-8",
        body: include_str!("../assets/console.js"),
    },
    Asset {
        path: "/console/passkeys.js",
        content_type: "text/javascript; charset=utf-8",
        body: include_str!("../assets/passkeys.js"),
    },
    Asset {
        path: "/console/icon.svg",
        content_type: "image/svg+xml",
        body: include_str!("../assets/icon.svg"),
    },
];
