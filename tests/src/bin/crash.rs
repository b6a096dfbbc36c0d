//! The kill campaign, and the processes it kills.

fn main() {
    dbrewind_testkit::peer::serve_stdio();
}
