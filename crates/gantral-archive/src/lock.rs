//! Object lock of S3: each object is put with the instant until which nobody may delete it, not even the owner of the account.
//!
//! The library puts objects without these headers, and a header that is not signed is refused. So the request is completed here, and signed
//! anew, on its way out.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gantral_core::time::UnixMillis;
use object_store::ClientOptions;
use object_store::aws::{AwsAuthorizer, AwsCredentialProvider};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};

const MODE: HeaderName = HeaderName::from_static("x-amz-object-lock-mode");
pub(crate) const UNTIL: HeaderName = HeaderName::from_static("x-amz-object-lock-retain-until-date");
/// The mode that nobody can shorten or lift.
const COMPLIANCE: HeaderValue = HeaderValue::from_static("COMPLIANCE");

/// Hands out one client, whatever the library asks for: ours goes where it is told and nowhere else.
#[derive(Debug, Clone)]
pub(crate) struct Connector(pub(crate) HttpClient);

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(self.0.clone())
    }
}

/// Sends requests, those that create objects with a lock.
#[derive(Debug)]
pub(crate) struct Locking {
    pub(crate) client: HttpClient,
    pub(crate) credentials: AwsCredentialProvider,
    pub(crate) region: String,
    pub(crate) retain: Duration,
}

impl Locking {
    async fn locked(&self, mut request: HttpRequest) -> Result<HttpRequest, HttpError> {
        let failed = |error: object_store::Error| HttpError::new(HttpErrorKind::Request, error);
        let credential = self.credentials.get_credential().await.map_err(failed)?;
        let until = retain_until(self.retain).ok_or_else(|| {
            HttpError::new(HttpErrorKind::Request, std::io::Error::other("no such instant"))
        })?;
        let headers = request.headers_mut();
        headers.insert(MODE, COMPLIANCE);
        headers.insert(UNTIL, until);
        headers.remove(AUTHORIZATION);
        AwsAuthorizer::new(&credential, "s3", &self.region)
            .try_authorize(&mut request, None)
            .map_err(failed)?;
        Ok(request)
    }
}

/// Returns the instant so long from now, as the header says it.
fn retain_until(retain: Duration) -> Option<HeaderValue> {
    let until = SystemTime::now().checked_add(retain)?.duration_since(UNIX_EPOCH).ok()?;
    let until = UnixMillis::new(u64::try_from(until.as_millis()).ok()?).ok()?;
    HeaderValue::from_str(&until.to_string()).ok()
}

impl HttpService for Locking {
    fn call<'s, 'f>(
        &'s self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'f>>
    where
        's: 'f,
        Self: 'f,
    {
        Box::pin(async move {
            let puts = request.method() == Method::PUT && request.uri().query().is_none();
            let request = if puts { self.locked(request).await? } else { request };
            self.client.execute(request).await
        })
    }
}
