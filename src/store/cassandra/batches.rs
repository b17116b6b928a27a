//! Which writes go together: those of one partition, which a server takes as one mutation, never
//! more at once than it takes without a warning. Pure.

/// Writes in a batch at most.
const WRITES: usize = 16;

/// Bytes in a batch at most, as far as one can tell: servers warn at 5 KiB, and refuse at 50.
const BYTES: usize = 4 * 1024;

/// One write: its partition, about how many bytes it has, and its values.
pub struct Piece<P, V> {
    pub partition: P,
    pub bytes: usize,
    pub values: V,
}

/// Every write once, each batch within one partition. A write that is too large stands alone. The
/// first batches of all partitions come first, then their second ones: those in flight together
/// then contend for a partition as little as may be.
pub fn batches<P: Ord, V>(mut pieces: Vec<Piece<P, V>>) -> Vec<Vec<V>> {
    pieces.sort_by(|left, right| left.partition.cmp(&right.partition));
    let mut found: Vec<(usize, Vec<V>)> = Vec::new();
    let (mut open, mut bytes) = (None, 0);
    for Piece { partition, bytes: more, values } in pieces {
        let same = open.as_ref() == Some(&partition);
        match found.last_mut() {
            Some((_, batch)) if same && batch.len() < WRITES && bytes + more <= BYTES => {
                batch.push(values);
                bytes += more;
            }
            last => {
                let turn = last.filter(|_| same).map_or(0, |(turn, _)| *turn + 1);
                found.push((turn, vec![values]));
                bytes = more;
            }
        }
        open = Some(partition);
    }
    found.sort_by_key(|(turn, _)| *turn);
    found.into_iter().map(|(_, batch)| batch).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The batches of writes given as partition and bytes, each write named by its place.
    fn of(writes: &[(&str, usize)]) -> Vec<Vec<usize>> {
        let piece = |(values, (partition, bytes)): (usize, &(&str, usize))| Piece {
            partition: partition.to_string(),
            bytes: *bytes,
            values,
        };
        batches(writes.iter().enumerate().map(piece).collect())
    }

    #[test]
    fn a_batch_stays_in_one_partition() {
        assert_eq!(of(&[("b", 1), ("a", 1), ("b", 1), ("a", 1), ("c", 1)]), [vec![1, 3], vec![0, 2], vec![4]]);
        assert!(of(&[]).is_empty());
    }

    #[test]
    fn a_batch_has_a_limit_of_writes_and_of_bytes() {
        let lengths = |writes: &[(&str, usize)]| of(writes).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths(&[("a", 1); 2 * WRITES + 1]), [WRITES, WRITES, 1]);
        assert_eq!(lengths(&[("a", BYTES / 2); 3]), [2, 1]);
        assert_eq!(lengths(&[("a", BYTES / 2 + 1); 3]), [1, 1, 1]);
        assert_eq!(of(&[("a", 1), ("a", usize::MAX / 2), ("a", 1), ("a", 1)]), [vec![0], vec![1], vec![2, 3]]);
    }

    #[test]
    fn partitions_take_turns() {
        let large = BYTES;
        let batches = of(&[("a", large), ("a", large), ("b", large), ("b", large), ("c", large)]);
        assert_eq!(batches, [vec![0], vec![2], vec![4], vec![1], vec![3]]);
    }

    #[test]
    fn every_write_is_sent_once() {
        let writes: Vec<(&str, usize)> = (0..500).map(|at| (["a", "b", "c"][at * at % 3], at * 7919 % 1500)).collect();
        let batches = of(&writes);
        for batch in &batches {
            assert!(batch.iter().all(|at| writes[*at].0 == writes[batch[0]].0));
            assert!(batch.len() <= WRITES && batch.iter().map(|at| writes[*at].1).sum::<usize>() <= BYTES);
        }
        let mut sent: Vec<usize> = batches.into_iter().flatten().collect();
        sent.sort();
        assert!(sent.into_iter().eq(0..500));
    }
}
