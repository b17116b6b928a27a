//! Towns, enclaves and neighbours.

use sha2::Digest;

use super::*;

/// Latitude, longitude, codes of the region and of the department.
const TOWNS: [(&str, f64, f64, &str, &str); 25] = [
    ("Paris", 48.8566, 2.3522, "11", "75"),
    ("Lyon", 45.7640, 4.8357, "84", "69"),
    ("Marseille", 43.2965, 5.3698, "93", "13"),
    ("Toulouse", 43.6047, 1.4442, "76", "31"),
    ("Bordeaux", 44.8378, -0.5792, "75", "33"),
    ("Lille", 50.6292, 3.0573, "32", "59"),
    ("Strasbourg", 48.5734, 7.7521, "44", "67"),
    ("Nantes", 47.2184, -1.5536, "52", "44"),
    ("Rennes", 48.1173, -1.6778, "53", "35"),
    ("Brest", 48.3904, -4.4861, "53", "29"),
    ("Rouen", 49.4432, 1.0999, "28", "76"),
    ("Dijon", 47.3220, 5.0415, "27", "21"),
    ("Orléans", 47.9029, 1.9093, "24", "45"),
    ("Nice", 43.7102, 7.2620, "93", "06"),
    ("Ajaccio", 41.9192, 8.7386, "94", "2A"),
    ("Bastia", 42.6973, 9.4509, "94", "2B"),
    // An enclave of its region in another one, and of its department in two others.
    ("Valréas", 44.3850, 4.9910, "93", "84"),
    ("Perpignan", 42.6887, 2.8948, "76", "66"),
    ("Saint-Martin-de-Ré", 46.2030, -1.3650, "75", "17"),
    ("Basse-Terre", 15.9985, -61.7250, "01", "971"),
    ("Fort-de-France", 14.6161, -61.0588, "02", "972"),
    ("Cayenne", 4.9333, -52.3300, "03", "973"),
    ("Saint-Denis", -20.8823, 55.4504, "04", "974"),
    ("Mamoudzou", -12.7806, 45.2278, "06", "976"),
    ("Le Raizet", 16.2640, -61.5163, "01", "971"),
];

#[test]
fn towns_are_in_their_regions_and_departments() {
    for (town, lat, lon, region, department) in TOWNS {
        assert_eq!((REGIONS.code(lat, lon), DEPARTEMENTS.code(lat, lon)), (region, department), "{town}");
    }
}

#[test]
fn neighbours_enclaves_and_the_sea_are_outside() {
    let elsewhere = [
        ("Llívia, a piece of Spain in Occitanie", 42.4645, 1.9810),
        ("Puigcerdà", 42.4314, 1.9281),
        ("Andorra la Vella", 42.5063, 1.5218),
        ("Monaco", 43.7384, 7.4246),
        ("Geneva", 46.2044, 6.1432),
        ("Saint Helier", 49.1868, -2.1064),
        ("London", 51.5074, -0.1278),
        ("Saint-Pierre", 46.7663, -56.1792),
        ("Dumont d'Urville", -66.6632, 140.0010),
        ("the Bay of Biscay", 45.0, -4.0),
        ("null island", 0.0, 0.0),
        ("the north pole", 90.0, 0.0),
    ];
    for (place, lat, lon) in elsewhere {
        assert_eq!((REGIONS.code(lat, lon), DEPARTEMENTS.code(lat, lon)), ("", ""), "{place}");
    }
}

#[test]
fn nothing_holds_what_is_no_position() {
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN, 1e19, -1e19, 90.1, -90.1, 180.1, -180.1];
    for odd in odd {
        assert_eq!(REGIONS.locate(odd, 2.35), None);
        assert_eq!(REGIONS.locate(48.85, if odd.abs() == 90.1 { 2.0 * odd } else { odd }), None);
        assert_eq!(REGIONS.set.nearest_within(odd, 2.35, 1e9), None);
    }
}

#[test]
fn the_shipped_sets_are_whole() {
    assert_eq!(REGIONS.set.regions().len(), 18);
    assert_eq!(DEPARTEMENTS.set.regions().len(), 101);
    assert_eq!((REGIONS.set.regions()[12].code(), REGIONS.set.regions()[12].name()), ("53", "Bretagne"));
    assert_eq!((REGIONS.unknown_squares(), DEPARTEMENTS.unknown_squares()), (0, 0));
    assert!(RegionSet::shipped("communes").is_none());
    assert!(DEPARTEMENTS.set.memory_bytes() < 15 << 20, "{}", DEPARTEMENTS.set.memory_bytes());
    assert_eq!(size_of::<Option<RegionIdx>>(), 4);
}

#[test]
fn the_shipped_files_are_those_of_the_source_sheet() {
    let sheet = include_str!("../../../regions/SOURCE.md");
    for name in ["regions", "departements"] {
        let digest = sha2::Sha256::digest(RegionSet::shipped(name).unwrap());
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(sheet.contains(&hex), "regions/SOURCE.md does not name {hex}, the SHA-256 of {name}.geojson");
    }
}

#[test]
fn a_column_is_located_as_its_positions_are() {
    let (lat, lon): (Vec<f64>, Vec<f64>) = TOWNS.iter().map(|town| (town.1, town.2)).unzip();
    let out = REGIONS.column(&lat, &lon);
    assert_eq!(out.len(), TOWNS.len());
    for (town, region) in TOWNS.iter().zip(out) {
        assert_eq!(REGIONS.set[region.unwrap()].code(), town.3);
    }
}

/// However many there are of them: inside, on borders and beside them, outside, and no positions at all.
#[test]
fn columns_of_any_length_are_located_as_their_positions_are() {
    let odd = [
        (f64::NAN, 2.0),
        (48.0, f64::NAN),
        (f64::INFINITY, 0.0),
        (91.0, 0.0),
        (0.0, 0.0),
        (-90.0, -180.0),
        (90.0, 180.0),
    ];
    for case in [&*REGIONS, &*DEPARTEMENTS] {
        let near = case.outlines.vertices().step_by(211).flat_map(|(lon, lat)| [(lat, lon), (lat + 1e-4, lon - 1e-4)]);
        let towns = TOWNS.iter().map(|town| (town.1, town.2));
        let (lat, lon): (Vec<f64>, Vec<f64>) = near.chain(towns).chain(odd).unzip();
        let one_by_one: Vec<_> = lat.iter().zip(&lon).map(|(lat, lon)| case.set.locate(*lat, *lon)).collect();
        assert_eq!(case.column(&lat, &lon), one_by_one);
        for length in 0..70 {
            let from = lat.len() - length;
            assert_eq!(case.column(&lat[from..], &lon[from..]), one_by_one[from..], "the last {length}");
        }
    }
}

#[test]
fn a_set_without_borders_holds_nothing_in_a_column_either() {
    let flat = case(&[vec![vec![vec![[1.0, 1.0], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0]]]]]);
    assert_eq!(flat.column(&[1.0, 0.0], &[1.0, 0.0]), [None, None]);
}
