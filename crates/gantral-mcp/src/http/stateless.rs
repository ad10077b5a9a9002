//! Requests that stand for themselves, of clients that share a conversation: under ids and tokens of ours, so that those of two clients do
//! not meet. Closing the answer is how a client cancels. Source: MCP 2026-07-28, Transports.

use std::sync::Arc;

use super::hub::Conversation;
use super::streams::Answer;
use crate::message::{Id, Kind, Message, members, span};

/// Passes a request on; `None` when it cannot be.
pub async fn ask(conversation: &Arc<Conversation>, message: Message) -> Option<Answer> {
    let Kind::Request { id, .. } = message.kind().clone() else { return None };
    let own = Id::Text(format!("client:{}", conversation.next()));
    let token = progress_token(message.text()).map(ToOwned::to_owned);
    let renamed = with(message, "id", &own.to_json())?;
    let (renamed, names) = match token {
        Some(token) => (with_token(renamed, &own.to_json())?, Names { id, token: Some(token) }),
        None => (renamed, Names { id, token: None }),
    };
    let closes = Closes { conversation: conversation.clone(), own };
    let answer = conversation.ask(renamed).await?;
    Some(answer.holding(closes).edited(names.packed(), restore))
}

/// What the client calls things.
struct Names {
    id: Id,
    token: Option<String>,
}

impl Names {
    /// Packs both into one id, which is what an answer keeps.
    fn packed(&self) -> Id {
        Id::Text(format!("{}\n{}", self.id.to_json(), self.token.as_deref().unwrap_or_default()))
    }
}

/// Gives a message of the answer the names back that the client knows.
fn restore(message: Message, packed: &Id) -> Message {
    let Id::Text(packed) = packed else { return message };
    let Some((id, token)) = packed.split_once('\n') else { return message };
    match message.kind() {
        Kind::Response { .. } => {
            let kept = message.clone();
            with(message, "id", id).unwrap_or(kept)
        }
        Kind::Notification { method } if method == "notifications/progress" && !token.is_empty() => {
            let kept = message.clone();
            replaced(message, token, |text| {
                members(members(text).ok()?.last("params")?).ok()?.last("progressToken")
            })
            .unwrap_or(kept)
        }
        Kind::Notification { .. } | Kind::Request { .. } | Kind::Batch | Kind::Foreign => message,
    }
}

fn progress_token(text: &str) -> Option<&str> {
    let meta = members(members(text).ok()?.last("params")?).ok()?.last("_meta")?;
    members(meta).ok()?.last("progressToken")
}

fn with_token(message: Message, token: &str) -> Option<Message> {
    replaced(message, token, progress_token)
}

fn with(message: Message, name: &str, value: &str) -> Option<Message> {
    replaced(message, value, |text| members(text).ok()?.last(name))
}

/// Replaces one value; the rest stays byte for byte.
fn replaced(
    message: Message,
    value: &str,
    find: impl for<'a> Fn(&'a str) -> Option<&'a str>,
) -> Option<Message> {
    let text = message.text();
    let place = span(text, find(text)?)?;
    let written = [text.get(..place.start)?, value, text.get(place.end..)?].concat();
    // Ids and tokens may be in what a message is.
    Some(Message::from_server(written.into_bytes()))
}

/// Cancels the request when its answer is closed before it was given.
struct Closes {
    conversation: Arc<Conversation>,
    own: Id,
}

impl Drop for Closes {
    fn drop(&mut self) {
        if !self.conversation.close(&self.own) {
            return;
        }
        let params = format!(r#"{{"requestId":{}}}"#, self.own.to_json());
        let session = self.conversation.session.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                session.from_client(Message::notification("notifications/cancelled", &params)).await;
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_client_come_back_and_nothing_else_changes() {
        let text = r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"_meta":{"progressToken": 3 },"name":"t"}}"#;
        let message = Message::from_client(text.as_bytes().to_vec()).unwrap();
        let sent = with_token(with(message, "id", "\"client:0\"").unwrap(), "\"client:0\"").unwrap();
        assert_eq!(
            sent.text(),
            text.replace("\"id\":3", "\"id\":\"client:0\"").replace(": 3 ", ": \"client:0\" ")
        );
        let names = Names { id: Id::Number(3), token: Some("3".to_owned()) }.packed();
        let answer = Message::from_server(br#"{"id":"client:0","result":{"id":"client:0"}}"#.to_vec());
        assert_eq!(restore(answer, &names).text(), r#"{"id":3,"result":{"id":"client:0"}}"#);
        let told =
            r#"{"method":"notifications/progress","params":{"progressToken":"client:0","progress":1}}"#;
        let told = restore(Message::from_server(told.as_bytes().to_vec()), &names);
        assert_eq!(
            told.text(),
            r#"{"method":"notifications/progress","params":{"progressToken":3,"progress":1}}"#
        );
    }
}
