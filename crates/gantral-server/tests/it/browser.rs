//! A browser for tests: cookies, forms, and pages that are only text.

use reqwest::{Client, RequestBuilder, Response};

use crate::place::Place;

/// A browser: it keeps a cookie, follows nothing by itself, and says where its requests come from.
pub struct Browser<'a> {
    url: &'a str,
    /// How the cookie begins: over TLS, with a prefix that binds it to the host.
    begins: &'static str,
    http: Client,
    pub cookie: Option<String>,
}

/// What came back.
pub struct Seen {
    pub status: u16,
    pub location: String,
    pub text: String,
}

impl<'a> Browser<'a> {
    pub fn new(place: &'a Place) -> Self {
        Self::at(&place.url, "__Host-gantral=")
    }

    /// Opens a browser at a server, whose cookie begins so.
    pub fn at(url: &'a str, begins: &'static str) -> Self {
        let http =
            Client::builder().tls_certs_only([]).no_proxy().redirect(reqwest::redirect::Policy::none());
        Self { url, begins, http: http.build().unwrap(), cookie: None }
    }

    /// Opens a browser and logs somebody in.
    pub async fn of(place: &'a Place, person: &str) -> Self {
        let mut browser = Self::new(place);
        browser.log_in(person).await;
        browser
    }

    pub async fn log_in(&mut self, person: &str) {
        let seen = self.send("/console/login", &[("person", person), ("return", "/console/")]).await;
        assert_eq!((seen.status, seen.location.as_str()), (303, "/console/"));
    }

    fn request(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.cookie {
            Some(cookie) => request.header("cookie", cookie),
            None => request,
        }
    }

    pub async fn get(&mut self, path: &str) -> Seen {
        let request = self.request(self.http.get(format!("{}{path}", self.url)));
        self.seen(request.send().await.unwrap()).await
    }

    pub async fn send(&mut self, path: &str, fields: &[(&str, &str)]) -> Seen {
        self.send_from(path, fields, "same-origin").await
    }

    pub async fn send_from(&mut self, path: &str, fields: &[(&str, &str)], site: &str) -> Seen {
        let response = self.form(path, fields, site).send().await.unwrap();
        self.seen(response).await
    }

    /// A form that is about to be sent.
    pub fn form(&self, path: &str, fields: &[(&str, &str)], site: &str) -> RequestBuilder {
        let request = self.request(self.http.post(format!("{}{path}", self.url)));
        let body = serde_urlencoded::to_string(fields).unwrap();
        let request = request.header("sec-fetch-site", site).body(body);
        request.header("content-type", "application/x-www-form-urlencoded")
    }

    async fn seen(&mut self, response: Response) -> Seen {
        let header = |name: &str| {
            response.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
        };
        let policy = header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(
            (header("x-frame-options").as_str(), header("cache-control").as_str()),
            ("DENY", "no-store")
        );
        let cookie = header("set-cookie");
        if !cookie.is_empty() {
            assert!(cookie.starts_with(self.begins), "{cookie}");
            assert_eq!(cookie.contains("; Secure"), self.begins.starts_with("__Host-"), "{cookie}");
            assert!(cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Lax"), "{cookie}");
            let pair = cookie.split(';').next().unwrap();
            self.cookie = (!pair.ends_with('=')).then(|| pair.to_owned());
        }
        let (status, location) = (response.status().as_u16(), header("location"));
        Seen { status, location, text: response.text().await.unwrap() }
    }
}

impl Seen {
    /// Returns the value of a hidden field.
    #[track_caller]
    pub fn hidden(&self, name: &str) -> String {
        let mark = format!("name=\"{name}\" value=\"");
        let start =
            self.text.find(&mark).unwrap_or_else(|| panic!("no `{name}`: {}", self.text)) + mark.len();
        self.text[start..].split('"').next().unwrap().to_owned()
    }

    #[track_caller]
    pub fn hides(&self, text: &str) {
        assert!(!self.text.contains(text), "`{text}` in: {}", self.text);
    }

    #[track_caller]
    pub fn shows(&self, text: &str) {
        assert!(self.text.contains(text), "no `{text}` in: {}", self.text);
    }
}
