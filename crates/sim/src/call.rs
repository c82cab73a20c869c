//! One call of an action, and the order in which it gets at the state.
//!
//! An action first reads its parameters. [`Call::look`] then refuses what it did not read and what the caller may not
//! do, and shows the state, for the checks that need it. [`Call::change`] ends a dry run with EC2's `DryRunOperation` and
//! gives the state to change. So no action can have an effect before its parameters and its permission were checked.

use crate::config::{Config, Quotas};
use crate::permissions::{Permissions, Trust};
use crate::protocol::auth::{Caller, Service};
use crate::protocol::{ApiError, Params, Scope};
use crate::route53::Zones;
use crate::simulator::Inner;
use crate::state::{Iam, Kind, Millis, Region, Role, Session, World};

/// A call under way.
pub(crate) struct Call<'a> {
    pub params: Scope<'a>,
    pub caller: &'a Caller,
    pub config: &'a Config,
    pub quotas: &'a Quotas,
    pub now: Millis,
    pub dry_run: bool,
    action: &'a str,
    all: &'a Params,
    permissions: &'a Permissions,
    is_allowed: bool,
    world: &'a mut World,
}

/// The state to read.
pub(crate) struct Looked<'a> {
    pub region: &'a Region,
    pub iam: &'a Iam,
    pub zones: &'a Zones,
}

/// The state to change.
pub(crate) struct Changing<'a> {
    pub region: &'a mut Region,
    pub iam: &'a mut Iam,
    pub zones: &'a mut Zones,
}

impl<'a> Call<'a> {
    pub(crate) fn new(
        all: &'a Params,
        caller: &'a Caller,
        action: &'a str,
        now: Millis,
        config: &'a Config,
        inner: &'a mut Inner,
    ) -> Self {
        Self {
            params: all.root(),
            caller,
            config,
            quotas: &inner.quotas,
            now,
            dry_run: false,
            action,
            all,
            permissions: &inner.permissions,
            // "No permissions are required to perform this operation", not even under an explicit denial.
            is_allowed: action == "GetCallerIdentity",
            world: &mut inner.world,
        }
    }

    /// The state, once all parameters were read and the action is allowed.
    pub(crate) fn look(&mut self) -> Result<Looked<'_>, ApiError> {
        self.all.finish()?;
        let (iam, zones, region) =
            self.world
                .enter(&self.caller.account, &self.caller.region, self.now);
        if !self.is_allowed {
            self.permissions
                .check_call(self.caller, self.action, self.all, region)?;
            self.is_allowed = true;
        }
        Ok(Looked { region, iam, zones })
    }

    /// The state for an action that only reads: the end of a dry run.
    pub(crate) fn read(&mut self) -> Result<Looked<'_>, ApiError> {
        let dry_run = self.dry_run;
        let looked = self.look()?;
        if dry_run {
            Err(dry_run_operation())
        } else {
            Ok(looked)
        }
    }

    /// The state for an action's effect, after all checks: the end of a dry run.
    pub(crate) fn change(&mut self) -> Result<Changing<'_>, ApiError> {
        self.look()?;
        if self.dry_run {
            return Err(dry_run_operation());
        }
        let (iam, zones, region) =
            self.world
                .enter(&self.caller.account, &self.caller.region, self.now);
        Ok(Changing { region, iam, zones })
    }

    /// Refuses when the caller may not hand a role to EC2, for the actions that do so.
    pub(crate) fn may_pass_role(&self, role: &str) -> Result<(), ApiError> {
        self.permissions.check_pass_role(self.caller, role)
    }

    /// A role of any account.
    pub(crate) fn role(&self, account: &str, name: &str) -> Option<&Role> {
        self.world.iam(account)?.roles.get(name)
    }

    /// Refuses when a role does not let the caller assume it.
    pub(crate) fn is_trusted(
        &self,
        role: &str,
        trust: Option<&Trust>,
        external_id: Option<&str>,
    ) -> Result<(), ApiError> {
        self.permissions
            .check_trust(self.caller, role, trust, external_id)
    }

    /// Lets an access key act in a role.
    pub(crate) fn begin_session(&mut self, access_key: String, session: Session) {
        self.world.sessions.insert(access_key, session);
    }

    /// Whether the account has not opted in to a region.
    pub(crate) fn is_off(&self, region: &str) -> bool {
        let place = (self.caller.account.clone(), region.to_owned());
        self.world.off.contains(&place)
    }

    /// A required parameter that is the id of something that exists.
    pub(crate) fn id(&self, name: &str, kind: Kind) -> Result<&'a str, ApiError> {
        let id = self.params.required(name)?;
        kind.check(id)?;
        Ok(id)
    }

    /// An optional parameter that is an id.
    pub(crate) fn optional_id(&self, name: &str, kind: Kind) -> Result<Option<&'a str>, ApiError> {
        let id = self.params.text(name).filter(|id| !id.is_empty());
        id.map(|id| kind.check(id).map(|()| id)).transpose()
    }

    /// A list parameter of ids, well-formed each.
    pub(crate) fn ids(&self, name: &str, kind: Kind) -> Result<Vec<&'a str>, ApiError> {
        let ids = self.params.values(name);
        ids.iter().try_for_each(|id| kind.check(id))?;
        Ok(ids)
    }

    /// Reads `DryRun`, for the actions that have it.
    pub(crate) fn accept_dry_run(&mut self) -> Result<(), ApiError> {
        self.dry_run = self.params.flag("DryRun")?.unwrap_or(false);
        Ok(())
    }

    /// Reads `Version`: an interface of another date would have other parameters.
    pub(crate) fn check_version(&self) -> Result<(), ApiError> {
        let service: Service = self.caller.service;
        match self.params.text("Version") {
            Some(version) if version != service.version() => Err(ApiError::bad(
                "NoSuchVersion",
                format!(
                    "The requested version ({version}) of service {} does not exist",
                    service.name()
                ),
            )),
            _ => Ok(()),
        }
    }
}

fn dry_run_operation() -> ApiError {
    ApiError::new(
        412,
        "DryRunOperation",
        "Request would have succeeded, but DryRun flag is set.",
    )
}
