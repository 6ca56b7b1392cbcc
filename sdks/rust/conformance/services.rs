//! The verb `service`: registration, lists, watches and picks.

use std::collections::HashMap;
use std::time::Duration;

use flowmesh::mesh::{self, Filter, Service};
use flowmesh::{Client, Error};
use futures_util::{future, StreamExt, TryStreamExt};
use serde_json::json;
use tower::balance::p2c::Balance;
use tower::discover::Change;
use tower::load::Constant;
use tower::{Service as _, ServiceExt};

use crate::command::Command;
use crate::{usage, Answer, Driver};

impl Driver {
    pub(crate) async fn service(&self, c: &Command) -> Answer {
        let client = self.client(c)?;
        let key = format!("{}{}", c.name, c.endpoint);
        match c.action.as_str() {
            "register" => {
                let (name, endpoint) = (c.name.clone(), c.endpoint.clone());
                let capabilities = c.capabilities.clone();
                let service = Service { name, endpoint, capabilities, ..Service::default() };
                let registration = mesh::register(&client, service).await?;
                self.objects().services.insert(key, registration);
                return Ok(json!({}));
            }
            "deregister" => {
                let found = self.objects().services.remove(&key);
                found.ok_or_else(|| usage(format!("there is no service {key}")))?.close().await?;
                return Ok(json!({}));
            }
            "resolve" => return resolve(&client, c).await,
            _ => {}
        }
        let capabilities = Some(c.capability.clone()).filter(|each| !each.is_empty());
        let filter = Filter {
            name: c.name.clone(),
            statuses: vec![mesh::HEALTHY.to_owned()],
            capabilities: capabilities.into_iter().collect(),
            ..Filter::default()
        };
        let mut found = Vec::new();
        if c.action == "watch" {
            let mut changes = mesh::watch(&client, filter);
            while let Some(services) = changes.next().await {
                found = services?;
                if found.len() == c.count {
                    break;
                }
            }
        } else {
            let mut services = mesh::list(&client, filter);
            while let Some(service) = services.next().await {
                found.push(service?);
            }
        }
        let mut endpoints: Vec<_> = found.into_iter().map(|service| service.endpoint).collect();
        endpoints.sort();
        Ok(json!({"endpoints": endpoints}))
    }
}

/// Count the instances that a balancer of tower picks from the discovery.
async fn resolve(client: &Client, c: &Command) -> Answer {
    let instances = mesh::discover(client, &c.name).map_ok(|change| match change {
        Change::Insert(address, ()) => {
            let named = address.clone();
            let service = tower::service_fn(move |(): ()| future::ok::<_, Error>(named.clone()));
            Change::Insert(address, Constant::new(service, 1))
        }
        Change::Remove(address) => Change::Remove(address),
    });
    let mut balanced = Balance::new(instances);
    let mut counts: HashMap<String, usize> = HashMap::new();
    for _ in 0..c.picks {
        let picked = async { balanced.ready().await?.call(()).await };
        let picked = tokio::time::timeout(Duration::from_secs(5), picked).await;
        let address =
            picked.map_err(|_| usage("no instance"))?.map_err(|e| usage(e.to_string()))?;
        *counts.entry(address).or_default() += 1;
    }
    Ok(json!({"endpoints": counts}))
}
