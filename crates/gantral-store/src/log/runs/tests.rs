use proptest::prelude::*;

use super::*;

#[test]
fn a_run_costs_a_few_bytes_however_long_it_is() {
    let numbers: Vec<u64> = (1_000_000..1_004_096).collect();
    assert_eq!(encode(&numbers), [0, 0x80, 0x20]);
    assert_eq!(encode(&[7, 9, 10, 300]), [0, 1, 1, 2, 0xa1, 2, 1]);
    assert_eq!(encode(&[]), []);
}

#[test]
fn bytes_that_are_cut_or_endless_give_no_numbers() {
    assert_eq!(decode(5, &[0]), Vec::<u64>::new());
    assert_eq!(decode(5, &[0, 0x80]), Vec::<u64>::new());
    assert_eq!(decode(5, &[0xff; 40]), Vec::<u64>::new());
    assert_eq!(decode(5, &[0, 2, 1]), [5, 6]);
    assert_eq!(decode(5, &[0, 0xff, 0xff, 0xff, 0xff, 0x0f]).len(), NUMBERS_MAX as usize);
}

proptest! {
    #[test]
    fn numbers_are_read_back(numbers in prop::collection::btree_set(1u64..5_000, 1..200), far in 0u64..1 << 50) {
        let numbers: Vec<u64> = numbers.into_iter().map(|number| number + far).collect();
        prop_assert_eq!(decode(numbers[0], &encode(&numbers)), numbers);
    }
}
