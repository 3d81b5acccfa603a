//! Who we are at a cloud: what is configured, else what the cloud put into our environment.

use std::path::PathBuf;

use anyhow::{Context as _, anyhow, bail};
use oci::Host;
use upstream::{Acr, Cloud, CloudLogin, Ecr, Endpoint, GOOGLE_METADATA, Gar, Proxy};

use crate::config::CloudSource;

/// A login at the cloud that a registry is of.
///
/// # Errors
/// What is missing, by the variable that would have it.
pub(super) fn login(
    source: &CloudSource,
    host: &Host,
    endpoint: &Endpoint,
    proxy: &Proxy,
    variable: impl Fn(&str) -> Option<String>,
) -> anyhow::Result<CloudLogin> {
    let or = |said: &Option<String>, name: &str| {
        said.clone().or_else(|| variable(name)).ok_or_else(|| anyhow!("{name} is not set"))
    };
    let file = |said: &Option<PathBuf>, name: &str| {
        said.clone().or_else(|| variable(name).map(PathBuf::from)).ok_or_else(|| anyhow!("{name} is not set"))
    };
    let cloud = match source {
        CloudSource::Ecr { region, role, token, sts, api } => {
            let region = match region.clone().or_else(|| region_of(host)) {
                Some(region) => region,
                None => or(&None, "AWS_REGION")?,
            };
            if !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
                bail!("AWS_REGION is no region");
            }
            let domain = if host.as_str().ends_with(".cn") { "amazonaws.com.cn" } else { "amazonaws.com" };
            let at = |service: &str| format!("https://{service}.{region}.{domain}/").parse();
            Cloud::Ecr(Ecr {
                role: or(role, "AWS_ROLE_ARN")?,
                token: file(token, "AWS_WEB_IDENTITY_TOKEN_FILE")?,
                sts: sts.clone().map_or_else(|| at("sts"), Ok)?,
                api: api.clone().map_or_else(|| at("api.ecr"), Ok)?,
                region,
            })
        }
        CloudSource::Gar { external_account: Some(path), .. } => {
            Cloud::Gar(Gar::ExternalAccount(path.clone()))
        }
        CloudSource::Gar { metadata, external_account: None } => {
            let metadata = metadata.clone().map_or_else(|| GOOGLE_METADATA.parse(), Ok)?;
            Cloud::Gar(Gar::Metadata(metadata))
        }
        CloudSource::Acr { tenant, client, token, authority } => {
            let known = || variable("AZURE_AUTHORITY_HOST").unwrap_or_else(|| AZURE_AUTHORITY.to_owned());
            let authority = authority.clone().map_or_else(|| known().parse(), Ok);
            Cloud::Acr(Acr {
                registry: endpoint.clone(),
                authority: authority.context("AZURE_AUTHORITY_HOST")?,
                tenant: or(tenant, "AZURE_TENANT_ID")?,
                client: or(client, "AZURE_CLIENT_ID")?,
                token: file(token, "AZURE_FEDERATED_TOKEN_FILE")?,
            })
        }
    };
    // The metadata service is on this machine or next to it, where no proxy leads.
    let through = match &cloud {
        Cloud::Gar(Gar::Metadata(_)) => Proxy::none(),
        Cloud::Ecr(_) | Cloud::Gar(Gar::ExternalAccount(_)) | Cloud::Acr(_) => proxy.clone(),
    };
    Ok(CloudLogin::new(cloud, through)?)
}

const AZURE_AUTHORITY: &str = "https://login.microsoftonline.com";

/// The region in the name of a registry of Amazon's: `<account>.dkr.ecr.<region>.amazonaws.com`.
fn region_of(host: &Host) -> Option<String> {
    let labels: Vec<&str> = host.as_str().split('.').collect();
    match labels[..] {
        [_, "dkr", "ecr" | "ecr-fips", region, "amazonaws", ..] => Some(region.to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ecr(host: &str, variables: &[(&str, &str)]) -> anyhow::Result<String> {
        let host: Host = host.parse().unwrap();
        let source = CloudSource::Ecr { region: None, role: None, token: None, sts: None, api: None };
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let endpoint = Endpoint::for_host(&host);
        login(&source, &host, &endpoint, &Proxy::none(), variable).map(|login| format!("{login:?}"))
    }

    const POD: [(&str, &str); 2] = [("AWS_ROLE_ARN", "role"), ("AWS_WEB_IDENTITY_TOKEN_FILE", "/token")];

    #[test]
    fn a_registry_of_amazon_s_says_its_region_itself() {
        let said = ecr("1.dkr.ecr.eu-west-1.amazonaws.com", &POD).unwrap();
        assert!(said.contains("https://sts.eu-west-1.amazonaws.com/"), "{said}");
        assert!(said.contains("https://api.ecr.eu-west-1.amazonaws.com/"), "{said}");
        let said = ecr("1.dkr.ecr.cn-north-1.amazonaws.com.cn", &POD).unwrap();
        assert!(said.contains("https://api.ecr.cn-north-1.amazonaws.com.cn/"), "{said}");
    }

    #[test]
    fn what_is_missing_is_named() {
        let missing = |host: &str, variables: &[(&str, &str)]| ecr(host, variables).unwrap_err().to_string();
        assert_eq!(missing("mirror.example", &POD), "AWS_REGION is not set");
        assert_eq!(
            missing("1.dkr.ecr.eu-west-1.amazonaws.com", &POD[..1]),
            "AWS_WEB_IDENTITY_TOKEN_FILE is not set"
        );
        assert_eq!(missing("1.dkr.ecr.eu-west-1.amazonaws.com", &[]), "AWS_ROLE_ARN is not set");
        let odd = [POD[0], POD[1], ("AWS_REGION", "evil.example/")];
        assert_eq!(missing("mirror.example", &odd), "AWS_REGION is no region");
    }
}
