//! A faulty declared graph does not compile, and the compiler says what is wrong with it.

#[test]
fn a_faulty_declared_graph_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
