//! A need of a later phase.

component::component_graph! {
    enum Parts {
        phase foundation {
            State "state" needs Kit;
        }
        phase orchestra_kit {
            Kit "orchestra-kit";
        }
    }
}

fn main() {}
