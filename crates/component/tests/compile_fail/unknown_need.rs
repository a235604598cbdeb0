//! A need that nobody of the graph meets.

component::component_graph! {
    enum Parts {
        phase pit {
            Index "index" needs Stroe;
            Store "store";
        }
    }
}

fn main() {}
