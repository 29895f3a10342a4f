//! Families: a name, a type, a sentence of help, and samples with labels.

use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

/// A value together with its labels, names before values.
pub(super) type Sample = (Vec<(&'static str, String)>, f64);

/// A value that grows until it is set to zero.
pub(super) fn counter(
    name: &str,
    help: &str,
    samples: impl IntoIterator<Item = Sample>,
) -> Option<MetricFamily> {
    family(name, help, MetricType::COUNTER, samples, |metric, value| {
        let mut counter = Counter::default();
        counter.set_value(value);
        metric.set_counter(counter);
    })
}

/// A value that goes up and down.
pub(super) fn gauge(
    name: &str,
    help: &str,
    samples: impl IntoIterator<Item = Sample>,
) -> Option<MetricFamily> {
    family(name, help, MetricType::GAUGE, samples, |metric, value| {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        metric.set_gauge(gauge);
    })
}

/// A sample without labels.
pub(super) fn one(value: f64) -> Vec<Sample> {
    vec![(Vec::new(), value)]
}

/// 1 or 0.
pub(super) fn flag(value: bool) -> f64 {
    f64::from(u8::from(value))
}

/// None without samples: the format has no families without any.
fn family(
    name: &str,
    help: &str,
    kind: MetricType,
    samples: impl IntoIterator<Item = Sample>,
    set: impl Fn(&mut Metric, f64),
) -> Option<MetricFamily> {
    let metrics: Vec<_> = samples
        .into_iter()
        .map(|(labels, value)| {
            let mut metric = Metric::from_label(labels.into_iter().map(label).collect());
            set(&mut metric, value);
            metric
        })
        .collect();
    if metrics.is_empty() {
        return None;
    }
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    Some(family)
}

fn label((name, value): (&'static str, String)) -> LabelPair {
    let mut label = LabelPair::default();
    label.set_name(name.to_owned());
    label.set_value(value);
    label
}
