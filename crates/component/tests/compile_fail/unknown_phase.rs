//! A phase that there is not.

component::component_graph! {
    enum Parts {
        phase pitt {
            Store "store";
        }
    }
}

fn main() {}
