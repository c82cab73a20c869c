//! IAM: instance profiles and roles, enough to make a profile and to launch with it, and to be trusted by a role.

use std::collections::BTreeMap;

use crate::call::Call;
use crate::clock::iso;
use crate::permissions::Policy;
use crate::protocol::{ApiError, Element, Outcome, el};
use crate::state::{Iam, Profile, Role};

type Action = fn(&mut Call<'_>) -> Outcome;

const ACTIONS: &[(&str, Action)] = &[
    ("AddRoleToInstanceProfile", add_role_to_instance_profile),
    ("CreateInstanceProfile", create_instance_profile),
    ("CreateRole", create_role),
    ("DeleteInstanceProfile", delete_instance_profile),
    ("GetInstanceProfile", get_instance_profile),
    ("ListInstanceProfiles", list_instance_profiles),
    ("PutRolePolicy", put_role_policy),
    (
        "RemoveRoleFromInstanceProfile",
        remove_role_from_instance_profile,
    ),
    ("UpdateAssumeRolePolicy", update_assume_role_policy),
];

pub(crate) fn run(call: &mut Call<'_>, name: &str) -> Outcome {
    match ACTIONS.iter().find(|(known, _)| *known == name) {
        Some((_, action)) => action(call),
        None => Err(ApiError::bad(
            "InvalidAction",
            format!("Could not find operation {name} for version 2010-05-08"),
        )),
    }
}

pub(crate) fn names() -> Vec<&'static str> {
    ACTIONS.iter().map(|(name, _)| *name).collect()
}

/// "A string of characters consisting of upper and lowercase alphanumeric characters with no spaces", and `_+=,.@-`.
fn name<'a>(call: &Call<'a>, parameter: &str) -> Result<&'a str, ApiError> {
    let name = call.params.required(parameter)?;
    let sound = name.len() <= 128
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c));
    if sound {
        return Ok(name);
    }
    let message = format!(
        "The specified value for {parameter} is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-"
    );
    Err(ApiError::bad("ValidationError", message))
}

fn path<'a>(call: &Call<'a>) -> Result<&'a str, ApiError> {
    let path = call.params.text("Path").unwrap_or("/");
    if path.starts_with('/') && path.ends_with('/') && path.len() <= 512 {
        return Ok(path);
    }
    let message = "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters.";
    Err(ApiError::bad("ValidationError", message))
}

fn no_such(kind: &str, name: &str) -> ApiError {
    ApiError::new(
        404,
        "NoSuchEntity",
        format!("{kind} {name} cannot be found."),
    )
}

fn already(kind: &str, name: &str) -> ApiError {
    ApiError::new(
        409,
        "EntityAlreadyExists",
        format!("{kind} {name} already exists."),
    )
}

fn create_instance_profile(call: &mut Call<'_>) -> Outcome {
    let name = name(call, "InstanceProfileName")?;
    let path = path(call)?;
    let now = call.now;
    if call.look()?.iam.profiles.contains_key(name) {
        return Err(already("Instance Profile", name));
    }
    let iam = call.change()?.iam;
    let profile = Profile {
        name: name.to_owned(),
        id: iam.ids.iam("AIPA"),
        arn: format!("arn:aws:iam::{}:instance-profile{path}{name}", iam.account),
        path: path.to_owned(),
        created: now,
        role: None,
    };
    iam.profiles.insert(name.to_owned(), profile.clone());
    Ok(Element::answer().child(profile_shown("InstanceProfile", iam, &profile)))
}

fn get_instance_profile(call: &mut Call<'_>) -> Outcome {
    let name = name(call, "InstanceProfileName")?;
    let iam = call.read()?.iam;
    let profile = iam
        .profiles
        .get(name)
        .ok_or_else(|| no_such("Instance Profile", name))?;
    Ok(Element::answer().child(profile_shown("InstanceProfile", iam, profile)))
}

fn list_instance_profiles(call: &mut Call<'_>) -> Outcome {
    let prefix = call.params.text("PathPrefix").unwrap_or("/");
    let iam = call.read()?.iam;
    let shown = iam
        .profiles
        .values()
        .filter(|it| it.path.starts_with(prefix));
    let members = shown.map(|it| profile_shown("member", iam, it));
    Ok(Element::answer()
        .text("IsTruncated", false)
        .list("InstanceProfiles", members))
}

fn delete_instance_profile(call: &mut Call<'_>) -> Outcome {
    let name = name(call, "InstanceProfileName")?;
    let iam = call.look()?.iam;
    let profile = iam
        .profiles
        .get(name)
        .ok_or_else(|| no_such("Instance Profile", name))?;
    if profile.role.is_some() {
        let message = "Cannot delete entity, must remove roles from instance profile first.";
        return Err(ApiError::new(409, "DeleteConflict", message));
    }
    call.change()?.iam.profiles.remove(name);
    Ok(Element::answer())
}

fn create_role(call: &mut Call<'_>) -> Outcome {
    let name = name(call, "RoleName")?;
    let path = path(call)?;
    let trust = call.params.required("AssumeRolePolicyDocument")?;
    let description = call.params.text("Description");
    let now = call.now;
    let iam = call.look()?.iam;
    json(trust)?;
    if iam.roles.contains_key(name) {
        return Err(already("Role with name", name));
    }
    let iam = call.change()?.iam;
    let role = Role {
        name: name.to_owned(),
        id: iam.ids.iam("AROA"),
        arn: format!("arn:aws:iam::{}:role{path}{name}", iam.account),
        path: path.to_owned(),
        created: now,
        trust: trust.to_owned(),
        policies: BTreeMap::new(),
        description: description.map(str::to_owned),
    };
    iam.roles.insert(name.to_owned(), role.clone());
    Ok(Element::answer().child(role_shown("Role", &role)))
}

fn json(document: &str) -> Result<serde_json::Value, ApiError> {
    let read = serde_json::from_str(document).ok();
    read.filter(serde_json::Value::is_object)
        .ok_or_else(|| malformed("This policy contains invalid Json"))
}

fn malformed(words: &str) -> ApiError {
    ApiError::bad("MalformedPolicyDocument", words)
}

/// Gives a role an inline policy, or another one of the same name.
fn put_role_policy(call: &mut Call<'_>) -> Outcome {
    let role = name(call, "RoleName")?;
    let policy = name(call, "PolicyName")?;
    let document = json(call.params.required("PolicyDocument")?)?;
    let read = Policy::read(&document).map_err(|wrong| malformed(&wrong))?;
    if !call.look()?.iam.roles.contains_key(role) {
        return Err(no_such("The role with name", role));
    }
    if let Some(found) = call.change()?.iam.roles.get_mut(role) {
        found.policies.insert(policy.to_owned(), read);
    }
    Ok(Element::answer())
}

/// Gives a role another trust policy.
fn update_assume_role_policy(call: &mut Call<'_>) -> Outcome {
    let role = name(call, "RoleName")?;
    let trust = call.params.required("PolicyDocument")?;
    json(trust)?;
    if !call.look()?.iam.roles.contains_key(role) {
        return Err(no_such("The role with name", role));
    }
    if let Some(found) = call.change()?.iam.roles.get_mut(role) {
        found.trust = trust.to_owned();
    }
    Ok(Element::answer())
}

fn add_role_to_instance_profile(call: &mut Call<'_>) -> Outcome {
    let profile = name(call, "InstanceProfileName")?;
    let role = name(call, "RoleName")?;
    let iam = call.look()?.iam;
    let found = iam
        .profiles
        .get(profile)
        .ok_or_else(|| no_such("Instance Profile", profile))?;
    let arn = iam
        .roles
        .get(role)
        .ok_or_else(|| no_such("The role with name", role))?
        .arn
        .clone();
    if found.role.is_some() {
        let message = "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1";
        return Err(ApiError::new(409, "LimitExceeded", message));
    }
    call.may_pass_role(&arn)?;
    if let Some(found) = call.change()?.iam.profiles.get_mut(profile) {
        found.role = Some(role.to_owned());
    }
    Ok(Element::answer())
}

fn remove_role_from_instance_profile(call: &mut Call<'_>) -> Outcome {
    let profile = name(call, "InstanceProfileName")?;
    let role = name(call, "RoleName")?;
    let iam = call.look()?.iam;
    let found = iam
        .profiles
        .get(profile)
        .ok_or_else(|| no_such("Instance Profile", profile))?;
    if found.role.as_deref() != Some(role) {
        return Err(no_such("The role with name", role));
    }
    if let Some(found) = call.change()?.iam.profiles.get_mut(profile) {
        found.role = None;
    }
    Ok(Element::answer())
}

fn profile_shown(element: &'static str, iam: &Iam, profile: &Profile) -> Element {
    let roles = profile.role.iter().filter_map(|name| iam.roles.get(name));
    el(element)
        .text("Path", &profile.path)
        .text("InstanceProfileName", &profile.name)
        .text("InstanceProfileId", &profile.id)
        .text("Arn", &profile.arn)
        .text("CreateDate", iso(profile.created))
        .list("Roles", roles.map(|it| role_shown("member", it)))
}

/// IAM shows policy documents percent-encoded.
fn role_shown(element: &'static str, role: &Role) -> Element {
    el(element)
        .text("Path", &role.path)
        .text("RoleName", &role.name)
        .text("RoleId", &role.id)
        .text("Arn", &role.arn)
        .text("CreateDate", iso(role.created))
        .text("AssumeRolePolicyDocument", percent_encoded(&role.trust))
        .opt("Description", role.description.as_ref())
}

fn percent_encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    text.bytes()
        .map(|b| {
            if plain(b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}
