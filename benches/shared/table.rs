//! How is a figure printed?
//!
//! Under its question and beside its goal, one a line.

pub(crate) fn heading() {
    line("question", "figure".to_owned(), "goal");
}

pub(crate) fn line(question: &str, figure: String, goal: &str) {
    println!("{question:<62} {figure:>12}   {goal}");
}
