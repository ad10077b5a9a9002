//! What people give as arguments: JSON in place, in a file, or on standard input; actions and changes to them.

use std::io::Read as _;
use std::path::Path;

use gantral_api::wire::{Action, Document, text};
use gantral_core::json::{Object, Profile, Value, parse};

use crate::failure::Failure;

/// Reads a file, or standard input for `-`.
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        let read = std::io::stdin().lock().read_to_end(&mut bytes);
        return read
            .map(|_| bytes)
            .map_err(|error| Failure::new(format!("cannot read standard input: {error}")));
    }
    std::fs::read(path).map_err(|error| Failure::file("read", path, &error))
}

/// Reads a JSON document from a file, or from standard input for `-`.
pub fn value(path: &Path) -> Result<Value, Failure> {
    let bytes = read(path)?;
    parse(&bytes, &Profile::DOCUMENT).map_err(|error| Failure::file("read JSON from", path, &error))
}

/// Returns a value as it travels.
pub fn document(value: &Value) -> Result<Document, Failure> {
    Document::from_value(value).map_err(|error| Failure::new(error.to_string()))
}

/// One `NAME=VALUE` of the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The parameter.
    pub name: String,
    /// Its value as typed.
    pub text: String,
}

/// Takes `NAME=VALUE` apart; for clap.
pub fn setting(text: &str) -> Result<Setting, String> {
    match text.split_once('=') {
        Some((name, text)) if !name.is_empty() => {
            Ok(Setting { name: name.to_owned(), text: text.to_owned() })
        }
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

/// Sets parameters. A parameter that is a text stays a text whatever is typed; any other value is read as JSON, and what is
/// not JSON is a text.
pub fn set(parameters: &mut Object, settings: &[Setting]) -> Result<(), Failure> {
    for Setting { name, text } in settings {
        let read = parse(text.as_bytes(), &Profile::DOCUMENT).ok();
        let value = match (parameters.get(name), read) {
            (Some(Value::String(_)), _) => Value::from(text.as_str()),
            (Some(_), Some(value)) | (None, Some(value)) => value,
            (None, None) => Value::from(text.as_str()),
            (Some(_), None) => {
                return Err(Failure::new(format!("`{name}` is not a text, and `{text}` is not JSON"))
                    .hint("to change its type, give the whole action with `--action FILE`"));
            }
        };
        parameters.insert(name.as_str(), value);
    }
    Ok(())
}

/// Returns an action with parameters and target changed.
pub fn changed(action: &Action, settings: &[Setting], target: Option<&str>) -> Result<Action, Failure> {
    let parameters = action.parameters.to_value().map_err(|error| Failure::new(error.to_string()))?;
    let Value::Object(mut parameters) = parameters else {
        return Err(Failure::new("the parameters of the action are no object"));
    };
    set(&mut parameters, settings)?;
    Ok(Action {
        name: action.name.clone(),
        target: target.unwrap_or(&action.target).to_owned(),
        parameters: document(&Value::Object(parameters))?,
    })
}

/// Reads a whole action: `{"name": …, "target": …, "parameters": {…}}`.
pub fn action(path: &Path) -> Result<Action, Failure> {
    let bytes = read(path)?;
    gantral_api::wire::read_body(&bytes).map_err(|error| Failure::file("read an action from", path, &error))
}

/// Makes an action of its parts as typed.
pub fn action_of(name: text::Name, target: &str, parameters: Object) -> Result<Action, Failure> {
    Ok(Action { name, target: target.to_owned(), parameters: document(&Value::Object(parameters))? })
}

/// Returns the canonical bytes of an action as text: what commitments are made of.
pub fn canonical(action: &Action) -> Result<String, Failure> {
    let value = action.to_value().map_err(|error| Failure::new(error.to_string()))?;
    Ok(String::from_utf8_lossy(&value.to_canonical()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refund(parameters: &str) -> Action {
        Action {
            name: "refund".parse().unwrap(),
            target: "order/1001".to_owned(),
            parameters: Document::from_text(parameters).unwrap(),
        }
    }

    fn check(parameters: &str, settings: &[&str], expect: &str) {
        let settings: Vec<Setting> = settings.iter().map(|text| setting(text).unwrap()).collect();
        let changed = changed(&refund(parameters), &settings, None).unwrap();
        assert_eq!(changed.parameters.as_str(), expect);
    }

    #[test]
    fn setting_a_parameter_keeps_its_type_and_every_digit() {
        check(r#"{"amount":4800}"#, &["amount=480"], r#"{"amount":480}"#);
        check(r#"{"iban":"1"}"#, &["iban=480"], r#"{"iban":"480"}"#);
        check(r#"{"a":1}"#, &["a=12345678901234567890.5"], r#"{"a":12345678901234567890.5}"#);
        check("{}", &["note=because", "to=a=b"], r#"{"note":"because","to":"a=b"}"#);
        check(r#"{"list":[1]}"#, &["list=[1,2]"], r#"{"list":[1,2]}"#);
    }

    #[test]
    fn text_for_a_parameter_that_is_none_is_refused() {
        let settings = [setting("amount=much").unwrap()];
        let failure = changed(&refund(r#"{"amount":1}"#), &settings, None).unwrap_err();
        assert_eq!(failure.to_string(), "`amount` is not a text, and `much` is not JSON");
    }

    #[test]
    fn setting_without_a_name_is_wrong_usage() {
        assert!(setting("=1").is_err());
        assert!(setting("amount").is_err());
    }
}
