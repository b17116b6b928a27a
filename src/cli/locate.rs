//! `etiage locate`: the region of a position.

use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, bail};
use clap::Args;
use etiage::limited;
use etiage::locate::{Outlines, RegionSet, SHIPPED_PROPERTIES};
use etiage::setup::AtOnce;

use super::output::to_stdout;

#[derive(Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
Examples:
  etiage locate 48.11 -1.68
  etiage locate --csv < points.csv > located.csv
  etiage locate --regions departements 43.30 5.37
  etiage locate --regions communes.geojson --code insee --name libelle 43.30 5.37"
)]
pub struct LocateArgs {
    /// Latitude, WGS84 degrees
    #[arg(required_unless_present = "csv")]
    lat: Option<f64>,
    /// Longitude, WGS84 degrees
    #[arg(required_unless_present = "csv")]
    lon: Option<f64>,
    /// Read CSV with columns `lat` and `lon` from standard input; write every line back with
    /// `region_code,region_name` appended, empty where outside
    #[arg(long, conflicts_with_all = ["lat", "lon"])]
    csv: bool,
    /// `regions`, `departements` (shipped) or a GeoJSON file
    #[arg(long, value_name = "SET", default_value = "regions")]
    regions: String,
    /// Property that holds a region's code
    #[arg(long, value_name = "PROPERTY", default_value = SHIPPED_PROPERTIES.0)]
    code: String,
    /// Property that holds a region's name
    #[arg(long, value_name = "PROPERTY", default_value = SHIPPED_PROPERTIES.1)]
    name: String,
    /// Take the nearest region for a position outside all, if it is within this many metres
    #[arg(long, value_name = "METRES")]
    nearest_within: Option<f64>,
}

pub fn run(args: &LocateArgs) -> anyhow::Result<()> {
    let set = load(args)?;
    if args.csv {
        return to_stdout(|out| locate_csv(args, &set, std::io::stdin().lock(), out));
    }
    let (Some(lat), Some(lon)) = (args.lat, args.lon) else { bail!("give a latitude and a longitude") };
    if !(-90.0..=90.0).contains(&lat) || !(-180.0..=180.0).contains(&lon) {
        bail!("{lat} {lon} is no position: latitudes are -90 to 90, longitudes -180 to 180 degrees");
    }
    match find(args, &set, lat, lon) {
        Some((code, name)) => to_stdout(|out| Ok(writeln!(out, "{code} {name}")?)),
        None => bail!("{lat} {lon} lies in none of the {} regions of {}", set.regions().len(), args.regions),
    }
}

fn load(args: &LocateArgs) -> anyhow::Result<RegionSet> {
    let text = match RegionSet::shipped(&args.regions) {
        Some(text) => text.to_owned(),
        None => limited::read_text(Path::new(&args.regions), etiage::setup::MAX_FILE)
            .with_context(|| format!("region set {:?} (shipped are: regions, departements)", args.regions))?,
    };
    let outlines = Outlines::from_geojson(&text, &args.code, &args.name);
    Ok(RegionSet::build(outlines.with_context(|| format!("region set {:?}", args.regions))?, AtOnce))
}

fn find<'a>(args: &LocateArgs, set: &'a RegionSet, lat: f64, lon: f64) -> Option<(&'a str, &'a str)> {
    let region = match args.nearest_within {
        Some(within_m) => set.nearest_within(lat, lon, within_m),
        None => set.locate(lat, lon),
    };
    region.map(|region| &set.regions()[region.index()]).map(|region| (region.code(), region.name()))
}

/// Lines whose position is no number are outside.
fn locate_csv(args: &LocateArgs, set: &RegionSet, input: impl Read, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(input);
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(out);
    let mut header = reader.byte_headers().context("reading the header line")?.clone();
    let column = |name: &str| {
        let found = header.iter().position(|field| field.trim_ascii().eq_ignore_ascii_case(name.as_bytes()));
        found.with_context(|| format!("the header has no column {name:?}: it needs `lat` and `lon`"))
    };
    let (lat, lon) = (column("lat")?, column("lon")?);
    header.push_field(b"region_code");
    header.push_field(b"region_name");
    writer.write_byte_record(&header)?;
    let mut record = csv::ByteRecord::new();
    while reader.read_byte_record(&mut record)? {
        let number = |at: usize| std::str::from_utf8(record.get(at)?).ok()?.trim().parse::<f64>().ok();
        let place = number(lat).zip(number(lon)).and_then(|(lat, lon)| find(args, set, lat, lon));
        let (code, name) = place.unwrap_or_default();
        record.push_field(code.as_bytes());
        record.push_field(name.as_bytes());
        writer.write_byte_record(&record)?;
    }
    Ok(writer.flush()?)
}
