use super::*;

fn version(byte: u8) -> PolicyVersionId {
    PolicyVersionId(Digest::from_bytes([byte; 32]))
}

#[test]
fn every_request_comes_back_as_it_was_sent() {
    let requests = [
        Request::Load(version(1), b"archive"),
        Request::Drop(version(2)),
        Request::Eval(version(3), b"{}"),
        Request::Check(b"archive"),
        Request::Test(b""),
    ];
    let mut sent = Vec::new();
    for (number, request) in (7..).zip(&requests) {
        request.write(number, &mut sent);
    }
    let mut arrived = FrameBuffer::default();
    let mut received = 0;
    // Byte by byte: frames do not depend on how the stream was cut.
    for byte in sent {
        arrived.extend(&[byte]);
        while let Some(frame) = arrived.next().unwrap() {
            let (number, request) = Request::read(frame).unwrap();
            assert_eq!((number, request), (7 + received as u64, requests[received]));
            received += 1;
        }
    }
    assert_eq!(received, requests.len());
}

#[test]
fn every_failure_comes_back_as_it_was_sent() {
    let replies = EvalFailure::ALL.map(|failure| Err(Refused::new(failure, failure.as_str())));
    for reply in replies.into_iter().chain([Ok(b"{}".to_vec()), Ok(Vec::new())]) {
        let mut sent = Vec::new();
        write_reply(u64::MAX, &reply, &mut sent);
        let mut arrived = FrameBuffer::default();
        arrived.extend(&sent);
        assert_eq!(read_reply(arrived.next().unwrap().unwrap()), Some((u64::MAX, reply)));
        assert_eq!(arrived.next(), Ok(None));
    }
}

#[test]
fn an_answer_above_the_limit_becomes_a_failure() {
    let mut sent = Vec::new();
    write_reply(1, &Ok(vec![0; REPLY_BYTES_MAX + 1]), &mut sent);
    let (_, reply) = read_reply(&sent[LENGTH_BYTES..]).unwrap();
    assert_eq!(reply.unwrap_err().failure, EvalFailure::ResourceLimit);
}

#[test]
fn what_is_no_frame_is_refused() {
    let mut arrived = FrameBuffer::default();
    arrived.extend(&u32::MAX.to_le_bytes());
    assert_eq!(arrived.next(), Err(FrameTooLarge));
    assert_eq!(Request::read(b""), None);
    assert_eq!(Request::read(&[99; 64]), None);
    assert_eq!(Request::read(&[3; 20]), None);
    assert_eq!(read_reply(&[200; 16]), None);
}
