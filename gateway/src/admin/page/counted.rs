//! Samples of the text format of Prometheus, for a table.

use std::collections::BTreeMap;

/// One sample: its name, its labels and its value.
#[derive(Debug, PartialEq)]
pub(super) struct Sample<'a> {
    pub(super) name: &'a str,
    pub(super) labels: BTreeMap<&'a str, &'a str>,
    pub(super) value: f64,
}

/// The samples of a text whose names begin so. What is no sample is passed over.
pub(super) fn samples<'a>(text: &'a str, prefix: &str) -> Vec<Sample<'a>> {
    text.lines().filter(|line| line.starts_with(prefix)).filter_map(sample).collect()
}

fn sample(line: &str) -> Option<Sample<'_>> {
    let (named, value) = line.rsplit_once(' ')?;
    let (name, labels) = match named.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}')?),
        None => (named, ""),
    };
    // Our own labels have neither quotes nor commas in their values.
    let labels = labels.split(',').filter_map(|label| label.split_once('='));
    let labels = labels.map(|(name, value)| (name, value.trim_matches('"'))).collect();
    Some(Sample { name, labels, value: value.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_with_their_labels() {
        let text = "# HELP a_total what\na_total{x=\"1\",y=\"b c\"} 3\na_total 4.5\nb_total 1\nbroken{\n";
        let read = samples(text, "a_");
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].labels, BTreeMap::from([("x", "1"), ("y", "b c")]));
        assert_eq!((read[0].name, read[0].value, read[1].value), ("a_total", 3.0, 4.5));
        assert_eq!(samples(text, "broken"), []);
    }
}
