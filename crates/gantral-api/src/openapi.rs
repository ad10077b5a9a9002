//! The OpenAPI 3.1 document, written from the table of routes and the schemas of the wire types.

use std::collections::BTreeMap;

use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn,
};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, Content as Media, ContentBuilder, Header, InfoBuilder, LicenseBuilder, OpenApi,
    OpenApiBuilder, PathItem, PathsBuilder, Ref, RefOr, Required, Response, ResponseBuilder,
    ResponsesBuilder, Schema, Server,
};
use utoipa::{PartialSchema as _, ToSchema as _};

use crate::problem::{Code, Problem};
use crate::routes::{Answer, Body, Content, Method, Query, ROUTES, Route, Shape};
use crate::wire::{self, IDEMPOTENCY_KEY, PROBLEM_JSON, text};

/// The name of the security scheme.
const BEARER: &str = "bearer";

const ABOUT: &str = "\
Gantral governs what agents do: an action is named before it is done, policy or humans decide, and every step is \
sealed in a signed artifact.

Every write needs an `Idempotency-Key` and answers with the artifacts that it made: keep them, they are receipts. \
Errors are problem details (RFC 9457) with a stable `code`. Unknown members of a request are refused; answers may gain \
members within v1. Numbers in documents (`parameters`, `input`, `attributes`, `result`) are exact decimals.

Limits: JSON bodies 1 MiB and 64 levels, policy bundles 16 MiB, pages 200 items, long polls 60 s.";

/// Returns the document.
pub fn document() -> OpenApi {
    let mut paths = PathsBuilder::new();
    for route in ROUTES {
        paths = paths.path(route.path, PathItem::new(method(route.method), operation(route)));
    }
    let licence = LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build();
    let info =
        InfoBuilder::new().title("Gantral").version("1.0").description(Some(ABOUT)).license(Some(licence));
    // Relative to where the document was fetched.
    let servers = [Server::new("/")];
    OpenApiBuilder::new()
        .info(info.build())
        .servers(Some(servers))
        .paths(paths.build())
        .components(Some(components()))
        .build()
}

/// Returns the document as it is served and kept: pretty JSON with a line feed at its end.
///
/// # Errors
/// Never in practice: every part has a JSON form.
pub fn document_text() -> Result<String, serde_json::Error> {
    let mut text = document().to_pretty_json()?;
    text.push('\n');
    Ok(text)
}

const fn method(method: Method) -> HttpMethod {
    match method {
        Method::Get => HttpMethod::Get,
        Method::Put => HttpMethod::Put,
        Method::Post => HttpMethod::Post,
    }
}

fn components() -> utoipa::openapi::Components {
    let mut schemas = vec![(Problem::name().into_owned(), Problem::schema())];
    for shape in shapes() {
        shape.collect(&mut schemas);
    }
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("A token of a configured issuer, or the token of one attempt."))
        .build();
    ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .security_scheme(BEARER, SecurityScheme::Http(bearer))
        .build()
}

/// Every shape that a route names as a component.
fn shapes() -> impl Iterator<Item = Shape> {
    ROUTES.iter().flat_map(|route| {
        let body = match route.body {
            Body::Json(shape) => Some(shape),
            Body::None | Body::Archive => None,
        };
        let answers = route.answers.iter().filter_map(|answer| match answer.content {
            Content::Json(shape) => Some(shape),
            Content::None | Content::Bytes(_) => None,
        });
        body.into_iter().chain(answers)
    })
}

fn operation(route: &Route) -> Operation {
    let who: Vec<&str> = route.who.iter().map(|who| who.as_str()).collect();
    let parameters = route.path_parameters().map(|name| path_parameter(route, name));
    let parameters = parameters.chain(route.query.iter().map(query_parameter));
    let key = route.writes().then(idempotency_key);
    let mut operation = OperationBuilder::new()
        .operation_id(Some(route.operation_id))
        .tag(route.tag)
        .summary(Some(route.summary))
        .description(Some(format!("For: {}.", who.join("; "))))
        .parameters(Some(parameters.chain(key)))
        .request_body(request_body(route.body))
        .responses(responses(route));
    // Said also where it is none: whoever reads the document asks for no token there.
    operation = if route.is_open() {
        operation.securities(Some([]))
    } else {
        operation.security(SecurityRequirement::new(BEARER, Vec::<String>::new()))
    };
    operation.build()
}

fn path_parameter(route: &Route, name: &str) -> Parameter {
    let (schema, about) = match name {
        "gate_id" => (text::GateId::schema(), "The gate."),
        "delegation" => (text::Digest::schema(), "The delegation: the hash of its artifact."),
        "entry_digest" => (text::Digest::schema(), "The passkey: the digest of its enrolment."),
        "proposal_id" => (text::ProposalId::schema(), "The proposal."),
        "grant_id" => (text::GrantId::schema(), "The grant."),
        "version" => (text::PolicyVersionId::schema(), "The policy version."),
        "n" => (number_from(1).into(), "The number of the attempt."),
        _ if route.tag == "workflows" => (text::WorkflowId::schema(), "The name of the workflow."),
        _ => (text::InstanceId::schema(), "The instance."),
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(about))
        .schema(Some(schema))
        .build()
}

fn number_from(least: u32) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(least))
}

fn query_parameter(query: &Query) -> Parameter {
    // A query parameter stands alone, so its schema is written in place instead of being a component.
    let mut schemas = Vec::new();
    query.shape.collect(&mut schemas);
    let schema = schemas.into_iter().next().map(|(_, schema)| schema);
    let schema = match query.name {
        "limit" => Some(number_from(1).maximum(Some(wire::PAGE_ITEMS_MAX)).into()),
        "after" => Some(number_from(0).into()),
        "cursor" => Some(
            ObjectBuilder::new().schema_type(Type::String).max_length(Some(wire::CURSOR_BYTES_MAX)).into(),
        ),
        "format" => Some(ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["tar"])).into()),
        _ => schema,
    };
    ParameterBuilder::new()
        .name(query.name)
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(query.about))
        .schema(schema)
        .build()
}

fn idempotency_key() -> Parameter {
    let schema = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(wire::IDEMPOTENCY_KEY_BYTES_MAX))
        .pattern(Some("^[!-~]{1,128}$"));
    ParameterBuilder::new()
        .name(IDEMPOTENCY_KEY)
        .parameter_in(ParameterIn::Header)
        .required(Required::True)
        .description(Some(
            "A new one for each logical write, the same one when it is repeated: the same key with the same body \
             returns the first answer.",
        ))
        .schema(Some(schema))
        .build()
}

fn request_body(body: Body) -> Option<RequestBody> {
    let (media_type, content) = match body {
        Body::None => return None,
        Body::Json(shape) => ("application/json", refers(shape)),
        Body::Archive => ("application/gzip", binary()),
    };
    Some(RequestBodyBuilder::new().content(media_type, content).required(Some(Required::True)).build())
}

fn refers(shape: Shape) -> Media {
    ContentBuilder::new().schema(Some(shape.reference())).build()
}

fn binary() -> Media {
    let schema =
        ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::Custom("binary".into())));
    ContentBuilder::new().schema(Some(RefOr::T(Schema::from(schema)))).build()
}

fn responses(route: &Route) -> utoipa::openapi::Responses {
    let mut responses = ResponsesBuilder::new();
    for answer in route.answers {
        responses = responses.response(answer.status.to_string(), response(answer));
    }
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in route.codes() {
        by_status.entry(code.status()).or_default().push(code);
    }
    for (status, codes) in by_status {
        responses = responses.response(status.to_string(), refusal(status, &codes));
    }
    responses.build()
}

fn response(answer: &Answer) -> Response {
    let response = ResponseBuilder::new().description(answer.about);
    match answer.content {
        Content::None => response,
        Content::Json(shape) => response.content("application/json", refers(shape)),
        Content::Bytes(media_type) => response.content(media_type, written_as(media_type)),
    }
    .build()
}

/// What is served as it is kept: of JSON that it is an object, of anything else that it is bytes.
fn written_as(media_type: &str) -> Media {
    if media_type == "application/json" {
        let object = ObjectBuilder::new().schema_type(Type::Object);
        return ContentBuilder::new().schema(Some(RefOr::T(Schema::from(object)))).build();
    }
    binary()
}

fn refusal(status: u16, codes: &[Code]) -> Response {
    let lines: Vec<String> = codes.iter().map(|code| format!("- `{code}`: {}", code.title())).collect();
    let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
    let response = ResponseBuilder::new().description(lines.join("\n")).content(PROBLEM_JSON, problem);
    let response = match status {
        401 => response.header("www-authenticate", header("`Bearer`, and why.", Type::String)),
        429 | 503 => response.header("retry-after", header("Seconds to wait at least.", Type::Integer)),
        _ => response,
    };
    response.build()
}

fn header(about: &str, kind: Type) -> Header {
    let mut header = Header::new(ObjectBuilder::new().schema_type(kind));
    header.description = Some(about.to_owned());
    header
}
