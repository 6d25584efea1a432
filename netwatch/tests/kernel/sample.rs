//! Samples: how many, which, and what they carry.

use netwatch::{
    datapath::{Datapath, Options},
    model::{EntrySide, Protocol, Sample},
};

use super::{EGRESS, Gso, INGRESS, LO, options, run, support::cpu, tcp, with_datapath};

/// The number of a packet, at a place where the parser does not look.
const NUMBER: usize = 100;

fn samples(datapath: &mut Datapath) -> Vec<Sample> {
    let mut samples = Vec::new();
    datapath.read_samples(|sample| samples.push(sample));
    samples
}

/// Sends packets with these numbers, one by one; answers with the numbers of those that were sampled.
fn sampled(datapath: &mut Datapath, numbers: std::ops::Range<u32>) -> Vec<u32> {
    let mut packet = tcp(1, 2, 100);
    let mut found = Vec::new();
    for number in numbers {
        packet[NUMBER..NUMBER + 4].copy_from_slice(&number.to_ne_bytes());
        run(datapath, INGRESS, &packet, 1, None);
        // The ring never fills.
        if number % 512 == 511 {
            found.extend(samples(datapath));
        }
    }
    found.extend(samples(datapath));
    let number = |sample: &Sample| sample.bytes[NUMBER..NUMBER + 4].try_into().expect("four bytes");
    found.iter().map(|sample| u32::from_ne_bytes(number(sample))).collect()
}

/// Pearson's statistic of counts that should all be the same.
fn chi_square(counts: &[f64], expected: f64) -> f64 {
    counts.iter().map(|count| (count - expected).powi(2) / expected).sum()
}

/// What a chi-square variable exceeds once in a million tries at most (Laurent and Massart, 2000, lemma 1).
fn once_in_a_million(freedom: f64) -> f64 {
    let x = 1e6_f64.ln();
    freedom + 2.0 * (freedom * x).sqrt() + 2.0 * x
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn samples_are_drawn_at_the_rate_in_force() {
    with_datapath(Options { sample_rate: 1, ..options() }, |datapath| {
        cpu::stay_on_one();
        run(datapath, EGRESS, &tcp(1, 2, 300), 10, None);
        let all = samples(datapath);
        assert_eq!(all.len(), 10, "every packet at 1:1");
        assert_eq!(
            (all[0].ifindex, all[0].side, all[0].len, all[0].rate),
            (LO, EntrySide::Egress, 354, 1)
        );
        assert_eq!(all[0].bytes, &tcp(1, 2, 300)[..128]);
        assert!(all.windows(2).all(|pair| pair[0].time < pair[1].time), "exact times");
        datapath.set_sample_rate(100);
        run(datapath, INGRESS, &tcp(1, 2, 0), 200_000, None);
        let count = samples(datapath).len();
        // 2,000 expected; the distances are even in 1 … 199, so the deviation is about 26.
        assert!((1_840..2_160).contains(&count), "{count}");
        datapath.set_sample_rate(0);
        run(datapath, INGRESS, &tcp(1, 2, 0), 1_000, None);
        assert!(samples(datapath).is_empty());
        let status = datapath.status();
        assert_eq!((status.samples, status.samples_lost), (10 + count as u64, 0));
    });
}

/// A sampler that took every tenth packet would find the same place of ten each time.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn traffic_with_a_period_is_not_sampled_in_step() {
    with_datapath(Options { sample_rate: 10, ..options() }, |datapath| {
        cpu::stay_on_one();
        let numbers = sampled(datapath, 0..120_000);
        let all = f64::from(u32::try_from(numbers.len()).expect("a part of those sent"));
        // 12,000 expected, with a deviation of 62.
        assert!((11_600.0..12_400.0).contains(&all), "{all}");
        for period in [2_u32, 3, 7, 9, 10, 11, 19, 20, 21, 40, 64, 100] {
            let mut counts = vec![0.0; period as usize];
            for number in &numbers {
                counts[(number % period) as usize] += 1.0;
            }
            let found = chi_square(&counts, all / f64::from(period));
            let bound = once_in_a_million(f64::from(period) - 1.0);
            println!("period {period}: chi-square {found:.1}, bound {bound:.1}");
            assert!(found < bound, "period {period}: {found} > {bound}: {counts:?}");
        }
    });
}

/// If the first distance were drawn like the others, the first packet would be taken half as often as it should.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_first_packets_are_sampled_as_often_as_any() {
    const PACKETS: u32 = 25;
    const ROUNDS: u32 = 4_000;
    with_datapath(Options { sample_rate: 10, ..options() }, |datapath| {
        cpu::stay_on_one();
        let mut counts = [0.0; PACKETS as usize];
        for round in 0..ROUNDS {
            // Another rate begins anew.
            datapath.set_sample_rate(10 + round % 2);
            for number in sampled(datapath, 0..PACKETS) {
                counts[number as usize] += 1.0;
            }
        }
        let expected = f64::from(ROUNDS) / 2.0 * (1.0 / 10.0 + 1.0 / 11.0);
        let found = chi_square(&counts, expected);
        let bound = once_in_a_million(f64::from(PACKETS));
        println!(
            "chi-square {found:.1}, bound {bound:.1}; the first {} of {expected:.1}",
            counts[0]
        );
        assert!(found < bound, "{found} > {bound}: {counts:?}");
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_sample_carries_as_much_as_asked_for_and_no_more() {
    with_datapath(Options { sample_rate: 1, sample_length: 0, ..options() }, |datapath| {
        let packet = tcp(1, 2, 1000);
        let mut carried = |asked: u16| {
            datapath.set_sample_length(asked);
            run(datapath, INGRESS, &packet, 1, None);
            run(datapath, INGRESS, &packet[..54], 1, None);
            let all = samples(datapath);
            assert!(all.iter().all(|sample| packet.starts_with(&sample.bytes)));
            (all[0].bytes.len(), all[1].bytes.len())
        };
        assert_eq!(carried(0), (0, 0));
        assert_eq!(carried(1), (1, 1));
        assert_eq!(carried(60), (60, 54));
        assert_eq!(carried(512), (512, 54));
        assert_eq!(carried(u16::MAX), (512, 54), "there is no room for more");
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_gso_sample_knows_its_packets_on_the_wire() {
    with_datapath(Options { sample_rate: 1, ..options() }, |datapath| {
        let packet = tcp(40_000, 80, 2500);
        run(datapath, INGRESS, &packet, 1, Some(Gso { segs: 3, size: 1000 }));
        run(datapath, INGRESS, &packet, 1, None);
        let all = samples(datapath);
        assert_eq!((all[0].len, all[0].wire_len, all[0].segments), (2554, 2662, 3));
        assert_eq!(all[0].sizes(), [(1054, 2), (554, 1)]);
        assert_eq!(all[1].sizes(), [(2554, 1), (0, 0)]);
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_full_ring_loses_samples_and_says_how_many() {
    with_datapath(Options { sample_rate: 1, ..options() }, |datapath| {
        run(datapath, INGRESS, &tcp(1, 2, 300), 10_000, None);
        let read = samples(datapath).len() as u64;
        let status = datapath.status();
        assert_eq!((status.samples, status.samples_lost), (read, 10_000 - read));
        // 256 KiB, of which each takes 40 + 128 bytes and the kernel's 8.
        assert_eq!(read, (256 << 10) / 176);
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_sample_is_read_by_the_shared_parser() {
    with_datapath(Options { sample_rate: 1, ..options() }, |datapath| {
        run(datapath, INGRESS, &tcp(40_000, 80, 0), 1, None);
        run(datapath, INGRESS, &[0; 60], 1, None);
        let all = samples(datapath);
        let ends = netwatch::datapath::ends(&all[0]).expect("a packet");
        assert_eq!(
            (ends.protocol, ends.source.port, ends.destination.port),
            (Protocol::TCP, 40_000, 80)
        );
        assert!(
            netwatch::datapath::ends(&all[1]).is_err(),
            "what is in no flow is sampled all the same"
        );
    });
}
