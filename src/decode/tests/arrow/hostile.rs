//! Records that are no stream, or a stream that lies: refused whole with a reason, and within bounds.

use arrow_ipc::writer::{FileWriter, IpcWriteOptions};
use arrow_ipc::{
    Buffer, CompressionType, Endianness, Field, FieldBuilder, FieldNode, IntBuilder, Message, MessageBuilder,
    MessageHeader, MetadataVersion, RecordBatchBuilder, SchemaBuilder, Type,
};
use flatbuffers::{FlatBufferBuilder, UnionWIPOffset, WIPOffset};

use super::*;

type Builder = FlatBufferBuilder<'static>;

/// Whatever a record holds: a verdict on each reading, and a text of each.
fn read(stream: &StreamConfig, payload: &[u8]) -> Vec<Verdict> {
    read_by(&Decoder::new(stream, stations()).expect("a valid stream"), payload)
}

fn read_by(decoder: &Decoder, payload: &[u8]) -> Vec<Verdict> {
    let batch = decoder.decode(batch(&[payload], Some(NOON_MS)));
    let mut texts = Texts::new(&batch);
    for rejection in &batch.rejections {
        texts.text(&rejection.text, (!rejection.reject.is_of_table()).then_some(rejection.index), 100);
    }
    for (text, index) in batch.columns.text.iter().zip(&batch.columns.index) {
        texts.text(text, Some(*index), 100);
    }
    verdicts(&batch).remove(0)
}

/// The one reason for which a record is refused.
fn refused(payload: &[u8]) -> String {
    let batch = whole(&temperatures(Format::ArrowIpc), payload);
    assert_eq!((batch.columns.len(), batch.rejections.len()), (0, 1));
    assert!(batch.rejections[0].reject.is_of_table());
    batch.rejections[0].reject.to_string()
}

/// Every type that has buffers of its own kind, and two batches.
fn varied() -> Vec<u8> {
    let views = ["France", "a text of more than twelve bytes"];
    let mut columns = with("country", array(StringViewArray::from(views.to_vec())));
    let dictionary: DictionaryArray<Int8Type> = ["a", "b"].into_iter().collect();
    columns.push(("text", array(dictionary)));
    columns.push(("a", within("b", vec![Some(1), None], Some(vec![true, false]))));
    columns.push(("large", array(LargeStringArray::from(vec![Some("x"), None]))));
    columns.push(("active", array(BooleanArray::from(vec![Some(true), None]))));
    stream_of(&[batch_of(&columns), batch_of(&columns)])
}

/// The last one with rows that are ordinary.
fn streams() -> [StreamConfig; 3] {
    let labels = || BTreeMap::from([("t".to_owned(), "text".to_owned()), ("l".to_owned(), "large".to_owned())]);
    let all = StreamConfig { labels: labels(), ..everything(Format::ArrowIpc) };
    let plain = StreamConfig { labels: labels(), ..temperatures(Format::ArrowIpc) };
    [StreamConfig { every_numeric: true, ..temperatures(Format::ArrowIpc) }, all, plain]
}

#[test]
fn every_piece_of_a_stream_is_taken_or_refused() {
    let payload = varied();
    for stream in streams() {
        let all = read(&stream, &payload).len();
        assert_eq!(all, 4);
        for end in 1..payload.len() {
            let found = read(&stream, &payload[..end]);
            // Cut between two messages it is a shorter one.
            assert!(found == [Err("malformed")] || matches!(found.len(), 0 | 2 | 4), "{end}: {found:?}");
        }
    }
}

#[test]
fn no_byte_breaks_anything() {
    let mut payload = varied();
    let both = |stream: StreamConfig| {
        let [fast, slow] = [Decoder::new, Decoder::slow].map(|new| new(&stream, stations()).expect("a valid stream"));
        (fast, slow)
    };
    let decoders = streams().map(both);
    for at in 0..payload.len() {
        let byte = payload[at];
        for other in [!byte, 0, 0xff, 0x7f, 0x80, byte ^ 1, byte ^ 0x80, byte.wrapping_add(1), byte.wrapping_sub(1)] {
            payload[at] = other;
            for (fast, slow) in &decoders {
                assert_eq!(read_by(fast, &payload), read_by(slow, &payload), "{other} at {at}");
            }
        }
        payload[at] = byte;
    }
}

#[test]
fn what_is_no_stream_is_said() {
    let is_no_stream = "expected an Arrow IPC stream at byte";
    for payload in [b"garbage and more of it".as_slice(), b"{\"a\":1}", b"\xff\xff\xff\xff", b"\x10\0\0\0", b"x"] {
        assert!(
            refused(payload).starts_with(is_no_stream) || refused(payload).contains("length"),
            "{}",
            refused(payload)
        );
    }
    assert_eq!(refused(b""), "the payload is empty");
    // The end at once.
    assert_eq!(refused(b"\xff\xff\xff\xff\0\0\0\0"), "expected an Arrow IPC stream at byte 0");
    let mut file = FileWriter::try_new(Vec::new(), &batch_of(&good()).schema()).expect("a writer");
    file.write(&batch_of(&good())).expect("a batch");
    let file = file.into_inner().expect("a file");
    assert_eq!(refused(&file), "expected an Arrow IPC stream, not a file: write it in the stream format at byte 0");
    let twice = [table(&good()), table(&good())].concat();
    assert!(refused(&twice).starts_with("expected nothing after the end of the stream"));
    let large = StreamConfig { max_record: 100, ..temperatures(Format::ArrowIpc) };
    assert_eq!(read(&large, &table(&good())), [Err("too_large")]);
}

#[test]
fn bytes_that_are_no_text_spoil_the_record() {
    let mut payload = table(&good());
    let at = payload.windows(12).position(|bytes| bytes == b"FranceFrance").expect("the countries");
    payload[at + 6] = 0xff;
    assert_eq!(refused(&payload), format!("not UTF-8 after {} bytes", at + 6));
    // Nobody asks for these.
    let stream = StreamConfig { filters: Vec::new(), ..temperatures(Format::ArrowIpc) };
    assert!(read(&stream, &payload).iter().all(Result::is_ok));
}

/// A message of a record: its metadata and a body.
fn message(
    header: MessageHeader,
    body: &[u8],
    length: i64,
    build: impl FnOnce(&mut Builder) -> WIPOffset<UnionWIPOffset>,
) -> Vec<u8> {
    let mut builder = Builder::new();
    let table = build(&mut builder);
    let mut message = MessageBuilder::new(&mut builder);
    message.add_version(MetadataVersion::V5);
    message.add_header_type(header);
    message.add_header(table);
    message.add_bodyLength(length);
    let message: WIPOffset<Message<'_>> = message.finish();
    builder.finish(message, None);
    let mut metadata = builder.finished_data().to_vec();
    metadata.resize(metadata.len().next_multiple_of(8), 0);
    [&[0xff; 4], &(metadata.len() as u32).to_le_bytes()[..], &metadata, body].concat()
}

/// A column of 64-bit integers, with so many others within it, one in the other.
fn column(builder: &mut Builder, depth: usize) -> WIPOffset<Field<'static>> {
    let within = (depth > 0).then(|| column(builder, depth - 1));
    let within = within.map(|within| builder.create_vector(&[within]));
    let name = builder.create_string("temperature");
    let kind = match depth {
        0 => {
            let mut int = IntBuilder::new(builder);
            int.add_bitWidth(64);
            int.add_is_signed(true);
            int.finish().as_union_value()
        }
        _ => arrow_ipc::Struct_Builder::new(builder).finish().as_union_value(),
    };
    let mut field = FieldBuilder::new(builder);
    field.add_name(name);
    field.add_type_type(if depth == 0 { Type::Int } else { Type::Struct_ });
    field.add_type_(kind);
    within.into_iter().for_each(|within| field.add_children(within));
    field.finish()
}

/// So many times the same column, written once.
fn schema(columns: usize, depth: usize, endianness: Endianness) -> Vec<u8> {
    message(MessageHeader::Schema, b"", 0, |builder| {
        let fields = match columns {
            0 => Vec::new(),
            _ => vec![column(builder, depth); columns],
        };
        let fields = builder.create_vector(&fields);
        let mut schema = SchemaBuilder::new(builder);
        schema.add_fields(fields);
        schema.add_endianness(endianness);
        schema.finish().as_union_value()
    })
}

fn rows(rows: i64, nodes: &[(i64, i64)], buffers: &[(i64, i64)], body: &[u8], length: i64) -> Vec<u8> {
    message(MessageHeader::RecordBatch, body, length, |builder| {
        let nodes: Vec<FieldNode> = nodes.iter().map(|(length, nulls)| FieldNode::new(*length, *nulls)).collect();
        let nodes = builder.create_vector(&nodes);
        let buffers: Vec<Buffer> = buffers.iter().map(|(offset, length)| Buffer::new(*offset, *length)).collect();
        let buffers = builder.create_vector(&buffers);
        let mut batch = RecordBatchBuilder::new(builder);
        batch.add_length(rows);
        batch.add_nodes(nodes);
        batch.add_buffers(buffers);
        batch.finish().as_union_value()
    })
}

fn little(columns: usize) -> Vec<u8> {
    schema(columns, 0, Endianness::Little)
}

#[test]
fn rows_without_bytes_are_not_counted_out() {
    let most = "expected at most one row for every two bytes of the record";
    for count in [1 << 31, 1 << 20, 1000] {
        let payload = [little(0), rows(count, &[], &[], b"", 0)].concat();
        assert!(refused(&payload).starts_with(most), "{}", refused(&payload));
    }
    let few = [little(0), rows(3, &[], &[], b"", 0)].concat();
    assert_eq!(read(&temperatures(Format::ArrowIpc), &few), vec![Err("missing_field"); 3]);
    let many = [little(0), rows(100, &[], &[], b"", 0), rows(100, &[], &[], b"", 0)].concat();
    assert!(refused(&many).starts_with(most));
    for count in [-1, i64::MIN, i64::MAX, 1 << 40] {
        let payload = [little(0), rows(count, &[], &[], b"", 0)].concat();
        assert!(refused(&payload).starts_with("expected a batch with rows"));
    }
}

#[test]
fn lengths_that_lie_are_found() {
    let one = |nodes: &[(i64, i64)], buffers: &[(i64, i64)]| {
        refused(&[little(1), rows(2, nodes, buffers, &[0; 16], 16)].concat())
    };
    let good = [little(1), rows(2, &[(2, 0)], &[(0, 0), (0, 16)], &[0; 16], 16)].concat();
    assert_eq!(read(&temperatures(Format::ArrowIpc), &good), vec![Err("missing_field"); 2]);
    let lies = "expected buffers that lie in the message";
    assert!(one(&[(2, 0)], &[(0, 0), (1, 16)]).starts_with(lies));
    assert!(one(&[(2, 0)], &[(0, 0), (i64::MAX, 16)]).starts_with(lies));
    assert!(one(&[(2, 0)], &[(0, 0), (-16, 16)]).starts_with(lies));
    assert!(one(&[(2, 0)], &[(0, 0), (0, -1)]).starts_with("expected buffers that are together no longer"));
    assert!(one(&[(2, 0)], &[(0, 0), (0, i64::MAX)]).starts_with("expected buffers that are together no longer"));
    assert!(one(&[(2, 0)], &[(0, 16), (0, 16)]).starts_with("expected buffers that are together no longer"));
    assert!(one(&[(2, 0)], &[(0, 0), (0, 15)]).starts_with("expected a value for every row"));
    assert!(one(&[(2, 1)], &[(0, 0), (0, 16)]).starts_with("expected a value for every row"));
    for length in [0, 1, 3, -1, i64::MAX] {
        assert!(one(&[(length, 0)], &[(0, 0), (0, 16)]).starts_with("expected as many values as rows"));
    }
    let parts = "expected as many buffers as a batch of its schema has";
    assert!(one(&[(2, 0)], &[(0, 0)]).starts_with(parts));
    assert!(one(&[(2, 0)], &[(0, 0), (0, 16), (0, 0)]).starts_with(parts));
    assert!(one(&[], &[(0, 0), (0, 16)]).starts_with(parts));
    for length in [17, -1, i64::MAX, i64::MIN] {
        let payload = [little(1), rows(2, &[(2, 0)], &[(0, 0), (0, 16)], &[0; 16], length)].concat();
        assert!(refused(&payload).starts_with("expected a body that is all there"));
    }
    for length in [u32::MAX - 1, i32::MAX as u32, 1 << 20] {
        let payload = [little(1), [[0xff; 4], length.to_le_bytes()].concat()].concat();
        assert!(refused(&payload).starts_with("expected a message at byte"));
    }
}

#[test]
fn schemas_that_are_not_taken() {
    assert!(refused(&schema(1, 0, Endianness::Big)).starts_with("expected little-endian values"));
    assert!(read(&temperatures(Format::ArrowIpc), &schema(1, 50, Endianness::Little)).is_empty());
    assert_eq!(read(&temperatures(Format::ArrowIpc), &schema(1, 100, Endianness::Little)), [Err("too_deep")]);
    // A column is written once and named a hundred thousand times.
    assert!(refused(&little(100_000)).starts_with("expected metadata that does not repeat itself"));
    assert!(refused(&little(1)[8..]).starts_with("expected an Arrow IPC stream"));
    assert!(refused(&[little(1), little(1)].concat()).starts_with("expected a batch of rows or a dictionary"));
    assert!(refused(&rows(0, &[], &[], b"", 0)).starts_with("expected a schema"));
    let distinct: Columns = (0..20_000).map(|_| ("x", array(NullArray::new(1)))).collect();
    let stream = StreamConfig { max_record: 1 << 30, ..temperatures(Format::ArrowIpc) };
    let batch = whole(&stream, &table(&distinct));
    assert!(batch.rejections[0].reject.to_string().starts_with("expected at most 16384 columns"));
}

#[test]
fn compressed_buffers_are_refused() {
    // Nothing is compressed here: what says so is enough.
    let payload = message(MessageHeader::RecordBatch, &[0; 16], 16, |builder| {
        let nodes = builder.create_vector(&[FieldNode::new(2, 0)]);
        let buffers = builder.create_vector(&[Buffer::new(0, 0), Buffer::new(0, 16)]);
        let mut compression = arrow_ipc::BodyCompressionBuilder::new(builder);
        compression.add_codec(CompressionType::ZSTD);
        let compression = compression.finish();
        let mut batch = RecordBatchBuilder::new(builder);
        batch.add_length(2);
        batch.add_nodes(nodes);
        batch.add_buffers(buffers);
        batch.add_compression(compression);
        batch.finish().as_union_value()
    });
    assert!(refused(&[little(1), payload].concat()).starts_with("expected buffers without compression"));
}

#[test]
fn dictionaries_hold_what_is_taken_from_them() {
    let dictionary = |texts: Vec<&str>| {
        let keys = Int8Array_of(&[0, 1]);
        batch_of(&with("country", array(DictionaryArray::new(keys, array(StringArray::from(texts))))))
    };
    let payload = stream_of(&[dictionary(vec!["France", "Spain"])]);
    let at = payload.windows(2).rposition(|bytes| bytes == [0, 1]).expect("the indexes");
    for index in [2, 0x7f, 0x80, 0xff] {
        let mut lying = payload.clone();
        lying[at + 1] = index;
        assert!(refused(&lying).starts_with("expected indexes that lie in their dictionary"));
    }
    // One takes the place of another, or comes on top of it.
    let two = [dictionary(vec!["France", "Spain"]), dictionary(vec!["France", "Spain", "Italy"])];
    let filtered = |payload: &[u8]| -> Vec<bool> {
        let found = read(&temperatures(Format::ArrowIpc), payload);
        found.into_iter().map(|verdict| verdict.expect("a reading").filtered).collect()
    };
    assert_eq!(filtered(&stream_of(&two)), [false, true, false, true]);
    let options = IpcWriteOptions::default().with_dictionary_handling(arrow_ipc::writer::DictionaryHandling::Delta);
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &two[0].schema(), options).expect("a writer");
    two.iter().for_each(|batch| writer.write(batch).expect("a batch"));
    assert_eq!(filtered(&writer.into_inner().expect("a stream")), [false, true, false, true]);
    let swapped = [dictionary(vec!["France", "Spain"]), dictionary(vec!["Spain", "France"])];
    assert_eq!(filtered(&stream_of(&swapped)), [false, true, true, false]);
}
