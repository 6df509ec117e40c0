//! The manifests: variables, ports, mounts, times and who may do what.

use serde::Deserialize;
use serde_json::Value;

use super::{
    Map, Stand, check_variables, check_words, file,
    image::{Stage, stage},
    setting, stop_ms,
};

/// A container of ours and the pod around it.
struct Container {
    file: &'static str,
    pod: Value,
    /// Claims of the controller, by name.
    claims: Vec<String>,
    own: Value,
    surface: String,
    image: Stage,
}

impl Container {
    /// Those of the image, and over them those of the manifest.
    fn variables(&self) -> Map {
        let mut all = self.image.variables.clone();
        for variable in list(&self.own["env"]) {
            all.insert(text(&variable["name"]), text(&variable["value"]));
        }
        all
    }

    fn mounts(&self) -> Vec<(String, String)> {
        let mounts = list(&self.own["volumeMounts"]);
        let pairs = mounts.iter();
        pairs
            .map(|own| (text(&own["mountPath"]), text(&own["name"])))
            .collect()
    }

    /// The volume a path is on.
    #[track_caller]
    fn volume_of(&self, path: &str) -> String {
        let below = |mount: &str| path == mount || path.starts_with(&format!("{mount}/"));
        let found = self.mounts().into_iter().find(|(mount, _)| below(mount));
        found
            .unwrap_or_else(|| panic!("{path} is on no volume ({})", self.file))
            .1
    }

    /// A setting of the pod, unless the container has its own.
    fn security(&self, key: &str) -> Value {
        let own = &self.own["securityContext"][key];
        let pod = &self.pod["securityContext"][key];
        if own.is_null() {
            pod.clone()
        } else {
            own.clone()
        }
    }
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

#[track_caller]
fn text(value: &Value) -> String {
    let text = value.as_str();
    text.unwrap_or_else(|| panic!("{value} is not a text (quote it)"))
        .to_owned()
}

/// Every container of ours in a manifest.
fn containers(name: &'static str) -> Vec<Container> {
    let source = file(&format!("config/kubernetes/{name}"));
    let mut found = Vec::new();
    for document in serde_yaml_ng::Deserializer::from_str(&source) {
        let object = Value::deserialize(document).expect("YAML");
        assert!(object["kind"].is_string() && object["apiVersion"].is_string());
        let spec = &object["spec"];
        let pod = &spec["template"]["spec"];
        let claims = list(&spec["volumeClaimTemplates"]);
        for own in [list(&pod["initContainers"]), list(&pod["containers"])].concat() {
            let image = text(&own["image"]);
            let Some((image, tag)) = image
                .split_once(':')
                .filter(|(n, _)| n.starts_with("flowgate"))
            else {
                continue;
            };
            assert_eq!(tag, env!("CARGO_PKG_VERSION"), "{name}");
            let target = if image == "flowgate" { "edge" } else { "store" };
            found.push(Container {
                file: name,
                pod: pod.clone(),
                claims: claims
                    .iter()
                    .map(|own| text(&own["metadata"]["name"]))
                    .collect(),
                surface: text(&own["args"][0]),
                own,
                image: stage(target),
            });
        }
    }
    assert!(!found.is_empty(), "{name} runs nothing of ours");
    found
}

fn all() -> Vec<Container> {
    ["store.yaml", "edge.yaml", "sidecar.yaml"]
        .into_iter()
        .flat_map(containers)
        .collect()
}

#[test]
fn commands_and_variables_are_those_of_the_program() {
    for container in all() {
        let words = list(&container.own["args"]);
        check_words(&words.iter().map(text).collect::<Vec<_>>());
        let stand = Stand::new();
        let mut variables = container.variables();
        for (name, value) in &mut variables {
            // Whatever is read must be mounted; a test has it elsewhere.
            if name.ends_with("_FILE") || name.ends_with("TRUST_ROOT") {
                container.volume_of(value);
                *value = stand.hold(value).display().to_string();
            }
        }
        check_variables(&container.surface, &variables);
    }
}

#[test]
fn probes_and_services_find_a_port_that_is_listened_on() {
    for container in all() {
        let variables = container.variables();
        let port = |key| {
            let address = setting(&container.surface, &variables, key);
            address.rsplit(':').next().expect("a port").to_owned()
        };
        let probed = if container.surface == "edge" {
            "admin.listen"
        } else {
            "listen"
        };
        let listener = setting(&container.surface, &variables, probed);
        assert!(
            listener.starts_with("0.0.0.0:"),
            "the kubelet asks from outside: {listener}"
        );
        let named = list(&container.own["ports"]);
        let number_of = |name: &Value| {
            let own = named.iter().find(|own| own["name"] == *name);
            own.unwrap_or_else(|| panic!("no port {name}"))["containerPort"].to_string()
        };
        let mut probes = 0;
        for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
            let get = &container.own[probe]["httpGet"];
            if get.is_null() {
                continue;
            }
            probes += 1;
            assert_eq!(
                number_of(&get["port"]),
                port(probed),
                "{probe} of {}",
                container.file
            );
            let path = text(&get["path"]);
            assert!(["/health", "/ready"].contains(&path.as_str()), "{path}");
        }
        assert!(probes >= 2);
        for own in &named {
            let listened = [port("listen"), port(probed)];
            assert!(
                listened.contains(&own["containerPort"].to_string()),
                "{own}"
            );
        }
    }
}

#[test]
fn what_must_last_is_on_a_claim_and_nothing_else_is_written() {
    for container in all() {
        let data = setting(&container.surface, &container.variables(), "data");
        let volume = container.volume_of(&data);
        let is_claim = container.claims.contains(&volume);
        let volumes = list(&container.pod["volumes"]);
        let is_empty_dir = volumes
            .iter()
            .any(|own| own["name"] == *volume && own["emptyDir"].is_object());
        // The sidecar's page says what that costs.
        assert_eq!(
            is_claim,
            container.file != "sidecar.yaml",
            "{}",
            container.file
        );
        assert_eq!(is_empty_dir, container.file == "sidecar.yaml");
        for (_, name) in container.mounts() {
            let is_there =
                container.claims.contains(&name) || volumes.iter().any(|own| own["name"] == *name);
            assert!(is_there, "no volume {name} in {}", container.file);
        }
        let uid = container.image.user.split(':').next().expect("a uid");
        assert_eq!(container.security("runAsUser").to_string(), uid);
        assert_eq!(container.security("fsGroup").to_string(), uid);
        assert_eq!(container.security("runAsNonRoot"), true);
        assert_eq!(container.security("readOnlyRootFilesystem"), true);
        assert_eq!(container.security("allowPrivilegeEscalation"), false);
        assert_eq!(container.security("capabilities")["drop"][0], "ALL");
        assert_eq!(
            container.security("seccompProfile")["type"],
            "RuntimeDefault"
        );
    }
}

#[test]
fn a_pod_is_given_the_time_an_edge_takes_to_stop() {
    for container in all() {
        let given = &container.pod["terminationGracePeriodSeconds"];
        let given = given.as_u64().expect("a number of seconds");
        if container.surface == "edge" {
            assert!(
                given * 1000 > stop_ms(&container.variables()),
                "{}",
                container.file
            );
        }
    }
    // In front of a load balancer: as long as it takes to be noticed.
    let edge = &containers("edge.yaml")[0];
    let grace: u64 = setting("edge", &edge.variables(), "stop.grace_ms")
        .parse()
        .expect("ms");
    let period = edge.own["readinessProbe"]["periodSeconds"]
        .as_u64()
        .expect("seconds");
    assert!(grace > period * 1000, "{grace} ms against {period} s");
}
