//! Two components of one name, and two that are needed by one key.

component::component_graph! {
    enum Parts {
        phase ipc_bus {
            Bus "bus" as "lanes";
            Lanes "lanes";
        }
        phase pit {
            Store "store";
            Other "store";
        }
    }
}

fn main() {}
