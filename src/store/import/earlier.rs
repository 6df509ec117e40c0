//! What did earlier releases write that is not taken any more?
//!
//! Blank names, messages and authors could be given once, and stand in exports
//! of that time. They say nothing, so a file with one is read as if it were left
//! out. What somebody gives by hand is refused instead: they are there to mend it.

use crate::store::{called::is_blank, project_file::Node};

/// A project without what says nothing.
pub(super) fn without_blanks(mut project: Node) -> Node {
    leave_out(&mut project, &["name"]);
    for flow in items(&mut project, "flows") {
        leave_out(flow, &["name"]);
        for version in items(flow, "versions") {
            leave_out(version, &["message", "author"]);
        }
    }
    project
}

fn leave_out(node: &mut Node, names: &[&str]) {
    let Node::Table(members) = node else {
        return;
    };
    members.retain(|(name, member)| {
        let is_blank = matches!(member, Node::Text(text) if is_blank(text));
        !is_blank || !names.contains(&name.as_str())
    });
}

/// Those of a list, if there is one; what else stands there is refused later.
fn items<'n>(node: &'n mut Node, member: &str) -> &'n mut [Node] {
    let Node::Table(members) = node else {
        return &mut [];
    };
    match members.iter_mut().find(|(name, _)| name == member) {
        Some((_, Node::List(items))) => items,
        _ => &mut [],
    }
}
