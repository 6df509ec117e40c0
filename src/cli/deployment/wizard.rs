//! What is asked of somebody who makes a deployment by hand?
//!
//! On a terminal, in this order and only what flags have not said: flow,
//! channel, version, audience, percentage, and a name. Each question says what
//! is possible here. Without a terminal a missing flag is an error.

use std::io::{BufRead, IsTerminal};

use serde_json::{Value, json};

use super::{
    super::{admin::Admin, console::Console, failure::Failure},
    settings::{basis_points, version},
};

/// Operators of rules, as they are typed.
const OPERATORS: &str = "equals not_equals contains starts_with ends_with greater_than less_than \
                         is_empty is_not_empty";

/// What is possible here, as the store says it.
struct Possible {
    flows: Value,
    channels: Value,
    deployments: Value,
}

/// Asks for what is missing.
pub(super) fn complete(
    console: &mut Console,
    admin: &Admin,
    body: &mut Value,
) -> Result<(), Failure> {
    let missing = ["flow", "channel", "name"];
    let missing: Vec<&str> = missing
        .into_iter()
        .filter(|member| body[member].is_null())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let input = std::io::stdin();
    if !input.is_terminal() {
        return Err(Failure::usage(format!(
            "found no {} and nobody to ask: standard input is no terminal",
            missing.join(", no ")
        ))
        .mend("give NAME, --flow and --channel"));
    }
    let possible = Possible {
        flows: admin.list(&["flows"], &[], "flows")?,
        channels: admin.list(&["channels"], &[], "channels")?,
        deployments: admin.list(&["deployments"], &[], "deployments")?,
    };
    Wizard {
        console,
        input: &mut input.lock(),
        possible: &possible,
    }
    .ask(body)
}

/// The questions.
struct Wizard<'a> {
    console: &'a mut Console,
    input: &'a mut dyn BufRead,
    possible: &'a Possible,
}

impl Wizard<'_> {
    fn ask(&mut self, body: &mut Value) -> Result<(), Failure> {
        if body["flow"].is_null() {
            body["flow"] = json!(self.flow()?);
        }
        if body["channel"].is_null() {
            body["channel"] = json!(self.channel(body)?);
        }
        if body["version"].is_null() {
            body["version"] = self.version(&body["flow"])?;
        }
        if body["audience"].is_null() {
            body["audience"] = self.audience(&body["channel"])?;
        }
        if body["basisPoints"].is_null() {
            body["basisPoints"] = self.percentage()?;
        }
        if body["name"].is_null() {
            body["name"] = json!(self.name(body)?);
        }
        Ok(())
    }

    fn flow(&mut self) -> Result<String, Failure> {
        let flows: Vec<String> = names(&self.possible.flows, "sid");
        self.say(&format!("flows: {}", listed(&flows)))?;
        self.until("flow", None, |text| {
            match flows.iter().any(|own| own == text) {
                true => Ok(text.to_owned()),
                false => Err(format!(
                    "found {text:?}, expected one of {}",
                    listed(&flows)
                )),
            }
        })
    }

    fn channel(&mut self, body: &Value) -> Result<String, Failure> {
        let channels = self.possible.channels.as_array().cloned();
        for channel in channels.into_iter().flatten() {
            let name = channel["name"].as_str().unwrap_or_default();
            let taken: Vec<String> = self
                .possible
                .deployments
                .as_array()
                .into_iter()
                .flatten()
                .filter(|own| {
                    own["channel"] == channel["name"]
                        && own["environment"] == body["environment"]
                        && own["active"] == true
                        && (channel["exclusive"] == true || own["flow"] == body["flow"])
                })
                .filter_map(|own| own["name"].as_str().map(ToOwned::to_owned))
                .collect();
            let word = if channel["exclusive"] == true {
                ", one active deployment at a time"
            } else {
                ""
            };
            let by = match taken.is_empty() {
                true => String::new(),
                false => format!(" (taken by {}: deactivate it first)", taken.join(", ")),
            };
            self.say(&format!("channel {name}{word}{by}"))?;
        }
        self.until(
            "channel",
            None,
            |text| match crate::snapshot::compile::channel_fault(text) {
                None => Ok(text.to_owned()),
                Some(fault) => Err(fault),
            },
        )
    }

    fn version(&mut self, flow: &Value) -> Result<Value, Failure> {
        let mut flows = self.possible.flows.as_array().into_iter().flatten();
        let latest = flows.find(|own| own["sid"] == *flow);
        let latest = latest.and_then(|own| own["latest"].as_u64()).unwrap_or(0);
        let numbers = match latest {
            0 => "nothing is committed yet: latest begins with the first version".to_owned(),
            1 => "1 is committed".to_owned(),
            latest => format!("up to {latest} are committed"),
        };
        self.say(&format!(
            "latest follows every new version, a number stays ({numbers})"
        ))?;
        self.until("version", Some("latest"), |text| {
            let read = version(text)?;
            match read.as_u64() {
                Some(number) if number > latest => Err(format!(
                    "found {number}, expected latest or at most {latest}"
                )),
                _ => Ok(read),
            }
        })
    }

    fn audience(&mut self, channel: &Value) -> Result<Value, Failure> {
        let mut channels = self.possible.channels.as_array().into_iter().flatten();
        let known = channels.find(|own| own["name"] == *channel);
        let known: Vec<String> = known
            .and_then(|own| own["attributes"].as_array())
            .into_iter()
            .flatten()
            .filter_map(|own| own.as_str().map(ToOwned::to_owned))
            .collect();
        if !known.is_empty() {
            self.say(&format!("the channel carries: {}", listed(&known)))?;
        }
        self.say(&format!(
            "audience: one rule a line, such as `tags contains vip`; all must hold, none means \
             everyone ({OPERATORS})"
        ))?;
        let mut rules = Vec::new();
        loop {
            let rule = self.until("rule, or nothing to go on", Some(""), rule)?;
            match rule {
                Some(rule) => rules.push(rule),
                None if rules.is_empty() => return Ok(json!([])),
                None => return Ok(json!([{"rules": rules}])),
            }
        }
    }

    fn percentage(&mut self) -> Result<Value, Failure> {
        self.say("percentage of those: 100 is a full launch, 0 lets nobody in")?;
        self.until("percentage", Some("100"), |text| {
            basis_points(text).map(|points| json!(points))
        })
    }

    fn name(&mut self, body: &Value) -> Result<String, Failure> {
        let word = |member: &str| body[member].as_str().unwrap_or_default().to_owned();
        let usual = format!("{}-{}", word("flow"), word("channel").replace(':', "-"));
        self.until("name", Some(&usual), |text| Ok(text.to_owned()))
    }

    fn say(&mut self, text: &str) -> Result<(), Failure> {
        self.console.line(text)
    }

    /// Asks until the answer can be taken; nothing typed means the usual one.
    fn until<T>(
        &mut self,
        question: &str,
        usual: Option<&str>,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, Failure> {
        loop {
            match usual {
                None | Some("") => self.console.print(&format!("{question}: "))?,
                Some(usual) => self.console.print(&format!("{question} [{usual}]: "))?,
            }
            let mut line = String::new();
            let length = self.input.read_line(&mut line);
            let length = length
                .map_err(|error| Failure::undone("the answer cannot be read").because(&error))?;
            if length == 0 {
                return Err(
                    Failure::undone("the questions ended before the answers did")
                        .mend("nothing was made; flags answer questions, too"),
                );
            }
            let text = match (line.trim(), usual) {
                ("", Some(usual)) => usual.to_owned(),
                (text, _) => text.to_owned(),
            };
            match read(&text) {
                Ok(answer) => return Ok(answer),
                Err(why) => self.say(&why)?,
            }
        }
    }
}

/// `ATTRIBUTE OPERATOR VALUE`; a value that is a number or a boolean is one.
fn rule(text: &str) -> Result<Option<Value>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let mut words = text.splitn(3, ' ').map(str::trim);
    let (attribute, operator) = (words.next().unwrap_or_default(), words.next());
    let operator = operator.filter(|own| OPERATORS.split_whitespace().any(|known| known == *own));
    let Some(operator) = operator else {
        return Err(format!(
            "found {text:?}, expected an attribute, one of {OPERATORS}, and a value"
        ));
    };
    let needs_none = matches!(operator, "is_empty" | "is_not_empty");
    match (words.next(), needs_none) {
        (None, true) => Ok(Some(json!({"attribute": attribute, "operator": operator}))),
        (Some(value), false) if !value.is_empty() => {
            let read = serde_json::from_str(value).ok();
            let plain = read.filter(|own: &Value| own.is_number() || own.is_boolean());
            let value = plain.unwrap_or_else(|| json!(value.trim_matches('"')));
            Ok(Some(
                json!({"attribute": attribute, "operator": operator, "value": value}),
            ))
        }
        (_, true) => Err(format!("found a value beside {operator}, expected none")),
        (_, false) => Err(format!("found no value beside {operator}, expected one")),
    }
}

fn names(list: &Value, member: &str) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(|own| own[member].as_str().map(ToOwned::to_owned))
        .collect()
}

fn listed(names: &[String]) -> String {
    match names.is_empty() {
        true => "none".to_owned(),
        false => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, io::Write, rc::Rc};

    use super::*;

    /// Keeps what is printed.
    #[derive(Clone, Default)]
    struct Paper(Rc<RefCell<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn walk(body: &mut Value, typed: &str) -> (Result<(), Failure>, String) {
        let paper = Paper::default();
        let possible = Possible {
            flows: json!([{"sid": "help", "latest": 2}, {"sid": "tour", "latest": 0}]),
            channels: json!([
                {"name": "intercom:acme", "exclusive": true, "attributes": ["tags", "plan"]},
                {"name": "web", "exclusive": false, "attributes": []}]),
            deployments: json!([{"name": "old", "channel": "intercom:acme", "flow": "tour",
                "environment": "development", "active": true}]),
        };
        let mut console = Console::new(Box::new(paper.clone()), Box::new(Paper::default()));
        let done = Wizard {
            console: &mut console,
            input: &mut typed.as_bytes(),
            possible: &possible,
        }
        .ask(body);
        let said = String::from_utf8(paper.0.borrow().clone()).expect("text");
        (done, said)
    }

    #[test]
    fn questions_come_in_order_and_say_what_is_possible() {
        let mut body = json!({"environment": "development"});
        let typed =
            "nope\nhelp\nintercom:acme\n7\n2\ntags contains vip\nage greater_than 18\n\n10\n\n";
        let (done, said) = walk(&mut body, typed);
        done.expect("complete");
        let expected = json!({"environment": "development", "flow": "help",
            "channel": "intercom:acme", "version": 2, "basisPoints": 1000,
            "audience": [{"rules": [
                {"attribute": "tags", "operator": "contains", "value": "vip"},
                {"attribute": "age", "operator": "greater_than", "value": 18}]}],
            "name": "help-intercom-acme"});
        assert_eq!(body, expected);
        let order = [
            "flows: help, tour",
            "expected one of help, tour",
            "one active deployment at a time (taken by old: deactivate it first)",
            "up to 2 are committed",
            "expected latest or at most 2",
            "the channel carries: tags, plan",
            "percentage [100]: ",
            "name [help-intercom-acme]: ",
        ];
        let mut from = 0;
        for text in order {
            let at = said[from..].find(text);
            from += at.unwrap_or_else(|| panic!("no {text:?} behind {from} in {said}"));
        }
    }

    #[test]
    fn flags_skip_questions_and_nothing_typed_is_the_usual_answer() {
        let mut body = json!({"environment": "development", "flow": "tour", "channel": "web"});
        let (done, said) = walk(&mut body, "\n\n\nmine\n");
        done.expect("complete");
        assert_eq!(body["version"], "latest");
        assert_eq!(body["audience"], json!([]));
        assert_eq!(body["basisPoints"], 10_000);
        assert_eq!(body["name"], "mine");
        assert!(!said.contains("flows:"), "{said}");
        let mut body = json!({"environment": "development"});
        let (done, _) = walk(&mut body, "help\n");
        assert_eq!(done.expect_err("it ends").code(), 2);
    }

    #[test]
    fn a_rule_that_cannot_be_meant_is_told_of() {
        for bad in ["tags", "tags like x", "tags contains", "tags is_empty x"] {
            assert!(rule(bad).is_err(), "{bad}");
        }
        let quoted = rule("plan equals \"7\"").expect("a rule");
        assert_eq!(quoted.expect("one")["value"], "7", "quotes make a text");
    }
}
