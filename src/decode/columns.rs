//! Builders of a batch's columns, which can forget the rows of a record that turns out broken.

use std::ops::Range;

use arrow_array::{BooleanArray, Float64Array, Int64Array, UInt8Array};
use arrow_buffer::{BooleanBuffer, NullBufferBuilder};

use super::judge::{Measured, Row};
use super::texts::TextBuilder;
use crate::reading::{Columns, MetricColumn, Others};

pub struct ColumnsBuilder {
    time_ms: Vec<i64>,
    lat: Vec<f64>,
    lon: Vec<f64>,
    positioned: NullBufferBuilder,
    /// Those that are not filtered out: mostly all, which costs next to nothing.
    kept: NullBufferBuilder,
    metrics: Vec<MetricBuilder>,
    tenants: Option<TextBuilder>,
    labels: Vec<TextBuilder>,
    index: Vec<u32>,
    text: Vec<Range<u32>>,
}

struct MetricBuilder {
    values: Vec<i64>,
    present: NullBufferBuilder,
    flags: Vec<u8>,
}

impl ColumnsBuilder {
    /// For about so many rows.
    pub fn new(metrics: usize, tenants: bool, labels: usize, rows: usize) -> ColumnsBuilder {
        let metric = || MetricBuilder {
            values: Vec::with_capacity(rows),
            present: NullBufferBuilder::new(rows),
            flags: Vec::with_capacity(rows),
        };
        ColumnsBuilder {
            time_ms: Vec::with_capacity(rows),
            lat: Vec::with_capacity(rows),
            lon: Vec::with_capacity(rows),
            positioned: NullBufferBuilder::new(rows),
            kept: NullBufferBuilder::new(rows),
            metrics: (0..metrics).map(|_| metric()).collect(),
            tenants: tenants.then(TextBuilder::default),
            labels: (0..labels).map(|_| TextBuilder::default()).collect(),
            index: Vec::with_capacity(rows),
            text: Vec::with_capacity(rows),
        }
    }

    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// `measured`: one for every metric. Tenant and labels follow with [`ColumnsBuilder::push_texts`].
    pub fn push(&mut self, row: &Row, measured: &[Measured], index: u32, text: Range<u32>) {
        debug_assert_eq!(measured.len(), self.metrics.len());
        let (lat, lon) = row.position.unwrap_or_default();
        self.time_ms.push(row.time_ms);
        self.lat.push(lat);
        self.lon.push(lon);
        self.positioned.append(row.position.is_some());
        self.kept.append(!row.filtered);
        for (metric, measured) in self.metrics.iter_mut().zip(measured) {
            metric.values.push(measured.value.unwrap_or_default());
            metric.present.append(measured.value.is_some());
            metric.flags.push(measured.flags);
        }
        self.index.push(index);
        self.text.push(text);
    }

    pub fn push_texts<'t>(&mut self, tenant: Option<&str>, labels: impl Iterator<Item = Option<&'t str>>) {
        if let Some(tenants) = &mut self.tenants {
            tenants.push(tenant);
        }
        self.labels.iter_mut().zip(labels).for_each(|(column, label)| column.push(label));
    }

    /// Forgets every row from this one on.
    pub fn truncate(&mut self, rows: usize) {
        if rows == self.len() {
            return;
        }
        self.time_ms.truncate(rows);
        self.lat.truncate(rows);
        self.lon.truncate(rows);
        self.positioned.truncate(rows);
        self.kept.truncate(rows);
        for metric in &mut self.metrics {
            metric.values.truncate(rows);
            metric.present.truncate(rows);
            metric.flags.truncate(rows);
        }
        self.tenants.iter_mut().chain(&mut self.labels).for_each(|column| column.truncate(rows));
        self.index.truncate(rows);
        self.text.truncate(rows);
    }

    pub fn finish(mut self, others: Others) -> Columns {
        let positioned = self.positioned.finish();
        let filtered = match self.kept.finish() {
            Some(kept) => !kept.inner(),
            None => BooleanBuffer::new_unset(self.index.len()),
        };
        Columns {
            time_ms: Int64Array::from(self.time_ms),
            lat: Float64Array::new(self.lat.into(), positioned.clone()),
            lon: Float64Array::new(self.lon.into(), positioned),
            filtered: BooleanArray::new(filtered, None),
            metrics: self.metrics.into_iter().map(MetricBuilder::finish).collect(),
            others,
            tenants: self.tenants.map(TextBuilder::finish),
            labels: self.labels.into_iter().map(TextBuilder::finish).collect(),
            index: self.index,
            text: self.text,
        }
    }
}

impl MetricBuilder {
    fn finish(mut self) -> MetricColumn {
        MetricColumn {
            values: Int64Array::new(self.values.into(), self.present.finish()),
            flags: UInt8Array::from(self.flags),
        }
    }
}
