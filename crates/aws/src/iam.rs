//! The one thing that is asked of IAM: which instance profiles there are. AWS's crate for IAM is larger than the rest of
//! this one, so the call is signed and read here ("Making query API requests", IAM user guide).

use std::{fmt::Write, time::Duration};

use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4::SigningParams,
};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorSettings},
    orchestrator::HttpRequest,
};
use aws_smithy_types::body::SdkBody;
use quick_xml::{Reader, events::Event};

use crate::{Error, Result, Said, error};

const ACTION: &str = "ListInstanceProfiles";
/// IAM is global; this is where it is ("AWS Identity and Access Management endpoints and quotas").
const ENDPOINT: &str = "https://iam.amazonaws.com";
/// What its requests are signed for.
const REGION: &str = "us-east-1";
const FORM: &str = "application/x-www-form-urlencoded";
/// How long IAM may take for an answer.
const PATIENCE: Duration = Duration::from_secs(6);

/// The names of the account's instance profiles, sorted.
pub(crate) async fn instance_profiles(config: &SdkConfig) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let mut marker: Option<String> = None;
    loop {
        let mut body = format!("Action={ACTION}&Version=2010-05-08");
        if let Some(marker) = &marker {
            body.push_str("&Marker=");
            encode(&mut body, marker);
        }
        let page = tokio::time::timeout(PATIENCE, call(config, body)).await;
        let page = page.map_err(|_| lost("no answer in time"))??;
        names.extend(texts(&page, "InstanceProfileName"));
        marker = texts(&page, "Marker").into_iter().next();
        if marker.is_none() {
            names.sort();
            return Ok(names);
        }
    }
}

async fn call(config: &SdkConfig, body: String) -> Result<String> {
    let request = signed(config, body).await?;
    let settings = HttpConnectorSettings::builder()
        .connect_timeout(PATIENCE)
        .read_timeout(PATIENCE)
        .build();
    let connector = aws_smithy_http_client::default_connector(&settings, config.sleep_impl());
    let connector = connector.ok_or_else(|| unsent("there is no HTTP client"))?;
    let answer = connector.call(request).await;
    let answer = answer.map_err(|error| lost(&error.to_string()))?;
    let status = answer.status();
    let bytes = aws_smithy_types::byte_stream::ByteStream::new(answer.into_body())
        .collect()
        .await
        .map_err(|error| lost(&error.to_string()))?;
    let text = String::from_utf8_lossy(&bytes.into_bytes()).into_owned();
    if status.is_success() {
        return Ok(text);
    }
    Err(said("ListInstanceProfiles", &text))
}

/// The error that a refusal's body names.
fn said(action: &'static str, body: &str) -> Error {
    let first = |element| texts(body, element).into_iter().next();
    Error::from_said(Said {
        action,
        code: first("Code").unwrap_or_else(|| "InternalFailure".to_owned()),
        message: first("Message").unwrap_or_else(|| "AWS gave no message".to_owned()),
    })
}

/// The request with a signature of the configuration's credentials.
async fn signed(config: &SdkConfig, body: String) -> Result<HttpRequest> {
    let provider = config.credentials_provider();
    let provider = provider.ok_or_else(|| unsent("there are no credentials"))?;
    let credentials = provider.provide_credentials().await.map_err(|error| {
        // A role that can't be assumed says why by itself.
        error::of_credentials(&error).unwrap_or_else(|| unsent(&error.to_string()))
    })?;
    let identity = credentials.into();
    let now = config.time_source().map(|source| source.now());
    let params = SigningParams::builder()
        .identity(&identity)
        .region(REGION)
        .name("iam")
        .time(now.ok_or_else(|| unsent("there is no clock"))?)
        .settings(SigningSettings::default())
        .build()
        .map_err(|error| unsent(&error.to_string()))?
        .into();
    let url = format!(
        "{}/",
        config
            .endpoint_url()
            .unwrap_or(ENDPOINT)
            .trim_end_matches('/')
    );
    let headers = [("content-type", FORM)];
    let to_sign = SignableRequest::new(
        "POST",
        url.as_str(),
        headers.into_iter(),
        SignableBody::Bytes(body.as_bytes()),
    );
    let signature = to_sign.and_then(|request| sign(request, &params));
    let (instructions, _) = signature
        .map_err(|error| unsent(&error.to_string()))?
        .into_parts();
    let mut request = http::Request::builder()
        .method("POST")
        .uri(&url)
        .header("content-type", FORM)
        .body(SdkBody::from(body))
        .map_err(|error| unsent(&error.to_string()))?;
    instructions.apply_to_request_http1x(&mut request);
    HttpRequest::try_from(request).map_err(|error| unsent(&error.to_string()))
}

fn lost(message: &str) -> Error {
    Error::no_answer(ACTION, message)
}

fn unsent(message: &str) -> Error {
    Error::Rejected(Said {
        action: ACTION,
        code: "ConstructionFailure".to_owned(),
        message: message.to_owned(),
    })
}

/// The texts of all elements of this name.
fn texts(document: &str, element: &str) -> Vec<String> {
    let mut reader = Reader::from_str(document);
    let mut found = Vec::new();
    let mut is_inside = false;
    loop {
        match reader.read_event() {
            Ok(Event::Start(start)) => {
                is_inside = start.local_name().as_ref() == element;
                if is_inside {
                    found.push(String::new());
                }
            }
            Ok(Event::Text(text)) if is_inside => {
                if let Some(last) = found.last_mut() {
                    last.push_str(&text);
                }
            }
            Ok(Event::End(_)) => is_inside = false,
            Ok(Event::Eof) | Err(_) => return found,
            Ok(_) => {}
        }
    }
}

fn encode(body: &mut String, value: &str) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() {
            body.push(char::from(byte));
        } else {
            // Writing to a text can't fail.
            let _ = write!(body, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_profiles_and_the_next_page_are_read() {
        let page = "<ListInstanceProfilesResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\">\
                    <ListInstanceProfilesResult><InstanceProfiles>\
                    <member><InstanceProfileName>web</InstanceProfileName><Roles><member><RoleName>r</RoleName>\
                    </member></Roles></member>\
                    <member><InstanceProfileName>db</InstanceProfileName><Roles/></member>\
                    </InstanceProfiles><IsTruncated>true</IsTruncated><Marker>a/b=</Marker>\
                    </ListInstanceProfilesResult></ListInstanceProfilesResponse>";
        assert_eq!(texts(page, "InstanceProfileName"), ["web", "db"]);
        assert_eq!(texts(page, "Marker"), ["a/b="]);
        assert!(texts("no XML <", "Marker").is_empty());
        let mut body = String::new();
        encode(&mut body, "a/b=");
        assert_eq!(body, "a%2Fb%3D");
    }
}
