//! What an object that is to be stopped has for itself, among all that can be reached from it.
//!
//! Caller: the bindings of a language with a garbage collector, which walk from the object. Invariant: what somebody else
//! refers to is nobody's own, and neither is what can be reached from there.

/// An object that was reached, and what it refers to.
#[derive(Debug, Default, Clone)]
pub struct Referring {
    /// How many references there are to it, those of the walk left out.
    pub references: usize,
    /// Whether others may refer to it: the object itself, and what runs for it.
    pub is_allowed: bool,
    /// How often it refers to the object from which the walk began.
    pub to_root: usize,
    /// The places of the others that it refers to, each as often as it does.
    pub refers_to: Vec<usize>,
}

/// Which of the objects are shared with somebody whom the walk did not reach.
#[must_use]
pub fn shared_objects(objects: &[Referring]) -> Vec<bool> {
    let mut inside = vec![0; objects.len()];
    for place in objects.iter().flat_map(|object| &object.refers_to) {
        inside[*place] += 1;
    }
    let mut shared: Vec<bool> = objects
        .iter()
        .zip(&inside)
        .map(|(object, inside)| !object.is_allowed && object.references > *inside)
        .collect();
    let mut waiting: Vec<usize> = (0..objects.len()).filter(|place| shared[*place]).collect();
    while let Some(place) = waiting.pop() {
        for other in &objects[place].refers_to {
            if !std::mem::replace(&mut shared[*other], true) {
                waiting.push(*other);
            }
        }
    }
    shared
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(references: usize, refers_to: &[usize]) -> Referring {
        Referring { references, refers_to: refers_to.to_vec(), ..Referring::default() }
    }

    #[test]
    fn what_only_the_object_refers_to_is_its_own() {
        let root = Referring { is_allowed: true, ..object(7, &[1, 1, 2]) };
        assert_eq!(shared_objects(&[root, object(2, &[2]), object(2, &[])]), [false; 3]);
    }

    #[test]
    fn what_can_be_reached_from_something_shared_is_shared() {
        let root = Referring { is_allowed: true, ..object(1, &[1, 3]) };
        // The second has one reference more than the walk knows; the third hangs on it, and they are a ring.
        let objects = [root, object(3, &[2]), object(1, &[1]), object(1, &[])];
        assert_eq!(shared_objects(&objects), [false, true, true, false]);
    }

    #[test]
    fn a_thread_of_its_own_may_be_referred_to_by_the_interpreter() {
        let root = Referring { is_allowed: true, ..object(1, &[1]) };
        let thread = Referring { is_allowed: true, ..object(4, &[]) };
        assert_eq!(shared_objects(&[root, thread]), [false; 2]);
    }
}
