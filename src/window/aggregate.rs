//! What a window keeps of one metric. Merging is commutative and associative, and adding a value
//! is merging with a window of one: the order of readings and of parts leaves no trace.

use crate::reading::flags;

use super::exact::Squares;

/// Exact aggregate of one metric. `min` and `max` mean something only where `count` is not 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aggregate {
    pub count: u64,
    pub sum: i128,
    pub squares: Squares,
    pub min: i64,
    pub max: i64,
    pub alarms: u64,
    pub active: u64,
    pub outliers: u64,
}

impl Default for Aggregate {
    fn default() -> Aggregate {
        Aggregate {
            count: 0,
            sum: 0,
            squares: Squares::default(),
            min: i64::MAX,
            max: i64::MIN,
            alarms: 0,
            active: 0,
            outliers: 0,
        }
    }
}

impl Aggregate {
    /// Folds one fixed-point value with its [`flags`].
    #[inline]
    pub fn add(&mut self, value: i64, bits: u8) {
        self.count += 1;
        self.sum += i128::from(value);
        self.squares.add_square(value);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.alarms += u64::from(bits & flags::ALARM != 0);
        self.active += u64::from(bits & flags::ACTIVE != 0);
        self.outliers += u64::from(bits & flags::OUTLIER != 0);
    }

    pub fn merge(&mut self, other: &Aggregate) {
        self.count += other.count;
        self.sum += other.sum;
        self.squares.add(other.squares);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.alarms += other.alarms;
        self.active += other.active;
        self.outliers += other.outliers;
    }
}
