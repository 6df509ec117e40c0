//! Is a flow refused that cannot be walked, or calls whom it cannot?

use super::{V1, hold};

#[test]
fn flows_that_cannot_be_walked_are_refused() {
    let more = |line: &str| -> &'static str {
        format!("          - {{ sid: end, type: finish }}\n          - {line}\n").leak()
    };
    const END: &str = "          - { sid: end, type: finish }\n";
    hold(&[
        (
            END,
            more("{ sid: end, type: card }"),
            &[V1, "block \"end\"", "the sid appears twice"],
        ),
        (
            END,
            more("{ sid: entry, type: card }"),
            &[V1, "means the entry of the flow"],
        ),
        (
            END,
            more("{ sid: second, type: card, uid: item-one }"),
            &[V1, "block \"second\"", "found the uid \"item-one\" twice"],
        ),
        (
            END,
            more("{ sid: lonely, type: gate }"),
            &[
                V1,
                "block \"lonely\"",
                "found no path that leads here, expected at least one to a gate",
            ],
        ),
        (
            END,
            more("{ sid: hollow, type: checklist }"),
            &[
                V1,
                "block \"hollow\"",
                "found no item, expected at least one in a checklist",
            ],
        ),
        (
            END,
            more("{ sid: hollow, type: hints, items: [] }"),
            &[
                V1,
                "block \"hollow\"",
                "found no item, expected at least one in hints",
            ],
        ),
        (
            END,
            more("{ sid: hollow, type: tour, items: [] }"),
            &[
                V1,
                "block \"hollow\"",
                "found no item, expected at least one in a tour",
            ],
        ),
        (
            END,
            more("{ sid: stray, type: checklistItem }"),
            &[
                V1,
                "block \"stray\"",
                "found a checklist item without a container",
            ],
        ),
        (
            END,
            more("{ sid: stray, type: tourItem, container: list }"),
            &[V1, "block \"stray\"", "expected", "tour"],
        ),
        (
            END,
            more("{ sid: stray, type: hintsItem, container: nobody }"),
            &[
                V1,
                "block \"stray\"",
                "\"nobody\" is not a block of this version",
            ],
        ),
        (
            END,
            more("{ sid: stray, type: card, container: list }"),
            &[
                V1,
                "block \"stray\"",
                "found a container, expected it on items only",
            ],
        ),
        (
            END,
            more("{ sid: stray, type: checklistItem, container: stray }"),
            &[V1, "block \"stray\"", "expected the uid of a checklist"],
        ),
        (
            END,
            more("{ sid: maybe, type: boolean }"),
            &[V1, "block \"maybe\"", "found no expression"],
        ),
        (
            END,
            more("{ sid: maybe, type: card, when: \"true\" }"),
            &[V1, "block \"maybe\"", "expected it on boolean blocks only"],
        ),
        (
            END,
            more("{ sid: named, type: card, transitions: [a] }"),
            &[V1, "block \"named\"", "expected them on custom blocks only"],
        ),
        (
            END,
            more("{ sid: named, type: custom, transitions: [a, a] }"),
            &[V1, "block \"named\"", "\"a\" twice"],
        ),
        (
            END,
            more("{ sid: named, type: custom, transitions: [\"\"] }"),
            &[V1, "block \"named\"", "found the transition name \"\""],
        ),
        (
            END,
            more("{ sid: named, type: flags }"),
            &[V1, "block \"named\"", "unknown block type \"flags\""],
        ),
        (
            "{ from: entry, to: ask }",
            "{ from: ask, on: no-thanks, to: ask }",
            &[V1, "entry: found no path from the entry"],
        ),
        (
            "{ from: entry, to: ask }",
            "{ from: entry, to: one }",
            &[V1, "leads to the checklist item"],
        ),
        (
            "{ from: entry, to: ask }",
            "{ from: entry, on: complete, to: ask }",
            &[V1, "expected none from the entry"],
        ),
        (
            "{ from: entry, to: ask }",
            "{ from: entry, to: nobody }",
            &[V1, "path 1", "\"nobody\" is not a block of this version"],
        ),
        (
            "{ from: go-on, on: done, to: end }",
            "{ from: end, on: done, to: ask }",
            &[V1, "comes from a finish block"],
        ),
        (
            "{ from: go-on, on: done, to: end }",
            "{ from: one, on: skip, to: end }",
            &[V1, "comes from a checklist item"],
        ),
        (
            "{ from: go-on, on: done, to: end }",
            "{ from: go-on, to: end }",
            &[V1, "found no transition name"],
        ),
        (
            "{ from: go-on, on: done, to: end }",
            "{ from: go-on, on: skip, to: end }",
            &[V1, "found the transition \"skip\""],
        ),
        // Logic that would run for ever.
        (
            "{ from: go-on, on: done, to: end }",
            "{ from: go-on, on: done, to: both }",
            &[V1, "closes a cycle of logic blocks alone"],
        ),
        (
            "{ from: paying, on: \"false\", to: end }",
            "{ from: paying, on: \"false\", to: paying }",
            &[
                V1,
                "block \"paying\"",
                "closes a cycle of logic blocks alone",
            ],
        ),
    ]);
}

#[test]
fn whom_to_call_and_what_to_trigger_is_refused_when_it_cannot_be() {
    const URL: &str = "url: \"https://crm.example.com/hook\", ";
    const TELL: &str = "flow \"help\", version 1, block \"tell\"";
    const TRIGGER: &str = "flow: other, action: start";
    const GO_ON: &str = "flow \"help\", version 1, block \"go-on\"";
    hold(&[
        (URL, "", &[TELL, "a webhook has no url"]),
        (
            URL,
            "url: \"ftp://crm.example.com/hook\", ",
            &[TELL, "url begins with", "expected http:// or https://"],
        ),
        (
            URL,
            "url: crm.example.com, ",
            &[TELL, "url begins with", "expected http:// or https://"],
        ),
        (
            URL,
            "url: \"https://\", ",
            &[TELL, "expected http:// or https:// with a host"],
        ),
        (URL, "url: \"https://a b/\", ", &[TELL, "visible ASCII"]),
        (
            URL,
            "url: \"https://crm.example.com/\\r\\nx: y\", ",
            &[TELL, "visible ASCII"],
        ),
        (URL, "url: 7, ", &[TELL, "url is a number (expected text)"]),
        (URL, "url: \"https://:8080/\", ", &[TELL, "with a host"]),
        (
            URL,
            "url: \"https://crm.example.com:port/\", ",
            &[TELL, "url"],
        ),
        (
            URL,
            "url: \"https://crm.example.com:99999/\", ",
            &[TELL, "url"],
        ),
        (
            URL,
            "url: \"https://me:secret-word@crm.example.com/\", ",
            &[TELL, "no user name"],
        ),
        (
            "Bearer hidden-word",
            "\"Bearer\\nhidden-word\"",
            &[TELL, "header \"authorization\" cannot be sent"],
        ),
        (
            "authorization: Bearer hidden-word",
            "Transfer-Encoding: chunked",
            &[TELL, "header \"Transfer-Encoding\" is not an author's"],
        ),
        (
            "authorization: Bearer hidden-word",
            "content-length: \"1\"",
            &[TELL, "header \"content-length\" is not an author's"],
        ),
        (
            TRIGGER,
            "flow: other",
            &[
                GO_ON,
                "action is missing (expected start, stop, reset or finish)",
            ],
        ),
        (
            TRIGGER,
            "flow: other, action: restart",
            &[GO_ON, "action is \"restart\""],
        ),
        (TRIGGER, "action: start", &[GO_ON, "flow is missing"]),
        (
            TRIGGER,
            "flow: \"o t\", action: start",
            &[GO_ON, "flow is \"o t\""],
        ),
        (
            TRIGGER,
            "flow: other, version: 0, action: start",
            &[GO_ON, "version is 0"],
        ),
    ]);
}
