//! The read half of the AXI4 master.

use super::{BURST, Queue, beat_lanes, beat_shift};
use crate::config::PAGE_BITS;
use crate::hw::rt::{Flop, K, Lanes, LanesReg, Reg, Sig, u};
use rust_hdl::prelude::*;

/// Gives the read channels to three clients: weights before activations before commands. One ID, so that beats come in
/// the order of the requests.
///
/// Requests are relative to a base: activations to that of the data, weights and commands to that of the model. A request
/// stands in a register while it is checked and its base is added, then in the registers of the AR channel: one burst every
/// second cycle at most. Clients accept their beats always.
#[derive(LogicBlock)]
pub struct ReadPort {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// Synchronous reset, active low.
    pub rst_ni: Signal<In, Bit>,
    /// Page of the model; stable, as all of these, while requests are there.
    pub model_base_i: Sig<In>,
    /// First byte of the model that must not be read.
    pub model_limit_i: Sig<In>,
    /// Page of the data.
    pub data_base_i: Sig<In>,
    /// First byte of the data that must not be read.
    pub data_limit_i: Sig<In>,
    /// Show no burst that is not shown yet; requests that wait are dropped.
    pub stop_i: Signal<In, Bit>,
    /// Weights: a burst is requested.
    pub weights_ar_valid_i: Signal<In, Bit>,
    /// Its first byte.
    pub weights_ar_addr_i: Sig<In>,
    /// Its beats minus one.
    pub weights_ar_len_i: Sig<In>,
    /// The request is taken.
    pub weights_ar_ready_o: Signal<Out, Bit>,
    /// `beat_o` is for the weights.
    pub weights_push_o: Signal<Out, Bit>,
    /// Activations: a burst is requested.
    pub acts_ar_valid_i: Signal<In, Bit>,
    /// Its first byte.
    pub acts_ar_addr_i: Sig<In>,
    /// Its beats minus one.
    pub acts_ar_len_i: Sig<In>,
    /// The request is taken.
    pub acts_ar_ready_o: Signal<Out, Bit>,
    /// `beat_o` is for the activations.
    pub acts_push_o: Signal<Out, Bit>,
    /// Commands: a burst is requested.
    pub command_ar_valid_i: Signal<In, Bit>,
    /// Its first byte.
    pub command_ar_addr_i: Sig<In>,
    /// Its beats minus one.
    pub command_ar_len_i: Sig<In>,
    /// The request is taken.
    pub command_ar_ready_o: Signal<Out, Bit>,
    /// `beat_o` is for the commands.
    pub command_push_o: Signal<Out, Bit>,
    /// A beat, for the client whose `push_o` is set.
    pub beat_o: Lanes<Out>,
    /// No burst is requested, shown or outstanding.
    pub idle_o: Signal<Out, Bit>,
    /// One cycle: a request went beyond its limit; it is dropped.
    pub bad_address_o: Signal<Out, Bit>,
    /// One cycle: the memory answered a beat with an error.
    pub bad_response_o: Signal<Out, Bit>,
    /// ARVALID.
    pub m_axi_arvalid_o: Signal<Out, Bit>,
    /// ARADDR.
    pub m_axi_araddr_o: Sig<Out>,
    /// ARLEN.
    pub m_axi_arlen_o: Sig<Out>,
    /// ARREADY.
    pub m_axi_arready_i: Signal<In, Bit>,
    /// RVALID.
    pub m_axi_rvalid_i: Signal<In, Bit>,
    /// RDATA.
    pub m_axi_rdata_i: Lanes<In>,
    /// RRESP.
    pub m_axi_rresp_i: Sig<In>,
    /// RLAST.
    pub m_axi_rlast_i: Signal<In, Bit>,
    /// RREADY: always.
    pub m_axi_rready_o: Signal<Out, Bit>,
    /// The request that is checked.
    held: Flop<Bit>,
    client: Reg,
    addr: Reg,
    len: Reg,
    /// The low bits of its last beat's number.
    ends: Reg,
    arvalid: Flop<Bit>,
    araddr: Reg,
    arlen: Reg,
    /// Clients of the bursts that are shown or outstanding.
    order: Queue,
    rvalid: Flop<Bit>,
    rdata: LanesReg,
    rresp: Reg,
    rlast: Flop<Bit>,
    bad_address: Flop<Bit>,
    accept: Signal<Local, Bit>,
    allowed: Signal<Local, Bit>,
    show: Signal<Local, Bit>,
    push: Signal<Local, Bit>,
    block: Sig<Local>,
    limit: Sig<Local>,
    base: Sig<Local>,
    low_unused: Sig<Local>,
    shift: K,
    block_shift: K,
    page_shift: K,
    in_page: K,
}

impl ReadPort {
    /// Bursts that are shown or outstanding, at most.
    pub const BURSTS: usize = 32;

    /// For a bus of `bus_bits`, and addresses of `address_bits` of which `offset_bits` are relative to a base.
    pub fn new(bus_bits: usize, address_bits: u32, offset_bits: u32) -> Self {
        let (addr, limit, len, lanes) = (u(offset_bits), u(32), u(8), beat_lanes(bus_bits));
        let (page, place) = (u(address_bits - PAGE_BITS), u(address_bits));
        let shift = beat_shift(bus_bits);
        let block_shift = shift + BURST.ilog2();
        Self {
            clk_i: Default::default(),
            rst_ni: Default::default(),
            model_base_i: Sig::new(page),
            model_limit_i: Sig::new(limit),
            data_base_i: Sig::new(page),
            data_limit_i: Sig::new(limit),
            stop_i: Default::default(),
            weights_ar_valid_i: Default::default(),
            weights_ar_addr_i: Sig::new(addr),
            weights_ar_len_i: Sig::new(len),
            weights_ar_ready_o: Default::default(),
            weights_push_o: Default::default(),
            acts_ar_valid_i: Default::default(),
            acts_ar_addr_i: Sig::new(addr),
            acts_ar_len_i: Sig::new(len),
            acts_ar_ready_o: Default::default(),
            acts_push_o: Default::default(),
            command_ar_valid_i: Default::default(),
            command_ar_addr_i: Sig::new(addr),
            command_ar_len_i: Sig::new(len),
            command_ar_ready_o: Default::default(),
            command_push_o: Default::default(),
            beat_o: Lanes::new(lanes, u(32)),
            idle_o: Default::default(),
            bad_address_o: Default::default(),
            bad_response_o: Default::default(),
            m_axi_arvalid_o: Default::default(),
            m_axi_araddr_o: Sig::new(place),
            m_axi_arlen_o: Sig::new(len),
            m_axi_arready_i: Default::default(),
            m_axi_rvalid_i: Default::default(),
            m_axi_rdata_i: Lanes::new(lanes, u(32)),
            m_axi_rresp_i: Sig::new(u(2)),
            m_axi_rlast_i: Default::default(),
            m_axi_rready_o: Default::default(),
            held: Default::default(),
            client: Reg::new(u(2)),
            addr: Reg::new(addr),
            len: Reg::new(len),
            ends: Reg::new(u(BURST.ilog2())),
            arvalid: Default::default(),
            araddr: Reg::new(place),
            arlen: Reg::new(len),
            order: Queue::new(Self::BURSTS, u(2)),
            rvalid: Default::default(),
            rdata: LanesReg::new(lanes, u(32)),
            rresp: Reg::new(u(2)),
            rlast: Default::default(),
            bad_address: Default::default(),
            accept: Default::default(),
            allowed: Default::default(),
            show: Default::default(),
            push: Default::default(),
            block: Sig::new(u(offset_bits - block_shift)),
            limit: Sig::new(u(32 - shift)),
            base: Sig::new(page),
            low_unused: Sig::new(u(shift)),
            shift: K::new(u(4), shift.into()),
            block_shift: K::new(u(4), block_shift.into()),
            page_shift: K::new(u(4), PAGE_BITS.into()),
            in_page: K::new(u(PAGE_BITS), (1 << PAGE_BITS) - 1),
        }
    }
}

impl Logic for ReadPort {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module read_port: read half of the AXI4 master, for three clients");
        dff_setup!(
            self,
            clk_i,
            held,
            client,
            addr,
            len,
            ends,
            arvalid,
            araddr,
            arlen,
            rvalid,
            rdata,
            rresp,
            rlast,
            bad_address
        );
        self.order.clk_i.next = self.clk_i.val();
        self.order.rst_ni.next = self.rst_ni.val();

        comment!("One of the requests.");
        self.accept.next = !self.held.q.val() && !self.stop_i.val();
        self.weights_ar_ready_o.next = self.accept.val();
        self.acts_ar_ready_o.next = self.accept.val() && !self.weights_ar_valid_i.val();
        self.command_ar_ready_o.next =
            self.accept.val() && !self.weights_ar_valid_i.val() && !self.acts_ar_valid_i.val();
        if !self.held.q.val() {
            self.client.d.next = 2;
            self.addr.d.next = self.command_ar_addr_i.val();
            self.len.d.next = self.command_ar_len_i.val();
            self.ends.d.next =
                (self.command_ar_addr_i.val() >> self.shift.val()) + self.command_ar_len_i.val();
            if self.acts_ar_valid_i.val() {
                self.client.d.next = 1;
                self.addr.d.next = self.acts_ar_addr_i.val();
                self.len.d.next = self.acts_ar_len_i.val();
                self.ends.d.next = (self.acts_ar_addr_i.val() >> self.shift.val()) + self.acts_ar_len_i.val();
            }
            if self.weights_ar_valid_i.val() {
                self.client.d.next = 0;
                self.addr.d.next = self.weights_ar_addr_i.val();
                self.len.d.next = self.weights_ar_len_i.val();
                self.ends.d.next =
                    (self.weights_ar_addr_i.val() >> self.shift.val()) + self.weights_ar_len_i.val();
            }
        }

        comment!("Its last beat, in the same block of the longest burst, must end below the limit.");
        self.block.next = self.addr.q.val() >> self.block_shift.val();
        self.base.next = self.model_base_i.val();
        self.limit.next = self.model_limit_i.val() >> self.shift.val();
        if self.client.q.val() == 1 {
            self.base.next = self.data_base_i.val();
            self.limit.next = self.data_limit_i.val() >> self.shift.val();
        }
        self.low_unused.next = self.model_limit_i.val() | self.data_limit_i.val();
        self.allowed.next = ((self.block.val() << 4) | self.ends.q.val()) < self.limit.val();
        self.show.next = self.held.q.val()
            && self.allowed.val()
            && self.order.room_o.val()
            && (!self.arvalid.q.val() || self.m_axi_arready_i.val())
            && !self.stop_i.val();
        self.bad_address.d.next = self.held.q.val() && !self.allowed.val() && !self.stop_i.val();
        if self.show.val() || !self.allowed.val() || self.stop_i.val() {
            self.held.d.next = false;
        }
        if self.accept.val() {
            self.held.d.next =
                self.weights_ar_valid_i.val() || self.acts_ar_valid_i.val() || self.command_ar_valid_i.val();
        }
        if self.m_axi_arready_i.val() {
            self.arvalid.d.next = false;
        }
        if self.show.val() {
            self.arvalid.d.next = true;
            self.araddr.d.next = ((self.base.val() + (self.addr.q.val() >> self.page_shift.val()))
                << self.page_shift.val())
                | (self.addr.q.val() & self.in_page.val());
            self.arlen.d.next = self.len.q.val();
        }
        self.order.push_i.next = self.show.val();
        self.order.data_i.next = self.client.q.val();
        self.m_axi_arvalid_o.next = self.arvalid.q.val();
        self.m_axi_araddr_o.next = self.araddr.q.val();
        self.m_axi_arlen_o.next = self.arlen.q.val();

        comment!("A beat of the oldest burst.");
        self.rvalid.d.next = self.m_axi_rvalid_i.val();
        self.rdata.d.next = self.m_axi_rdata_i.val();
        self.rresp.d.next = self.m_axi_rresp_i.val();
        self.rlast.d.next = self.m_axi_rlast_i.val();
        self.m_axi_rready_o.next = true;
        self.push.next = self.rvalid.q.val() && self.order.valid_o.val();
        self.order.take_i.next = self.push.val() && self.rlast.q.val();
        self.weights_push_o.next = self.push.val() && (self.order.data_o.val() == 0);
        self.acts_push_o.next = self.push.val() && (self.order.data_o.val() == 1);
        self.command_push_o.next = self.push.val() && (self.order.data_o.val() == 2);
        self.beat_o.next = self.rdata.q.val();
        self.bad_response_o.next = self.push.val() && (self.rresp.q.val() != 0);
        self.bad_address_o.next = self.bad_address.q.val();
        self.idle_o.next = !self.held.q.val() && !self.order.valid_o.val();

        if !self.rst_ni.val() {
            self.held.d.next = false;
            self.arvalid.d.next = false;
            self.rvalid.d.next = false;
            self.bad_address.d.next = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::{Bench, random};
    use crate::hw::memory::ReadStream;
    use crate::hw::memory::axi_model::{Answers, AxiModel, words};
    use rand::Rng;
    use rand_chacha::ChaCha8Rng;
    use std::collections::VecDeque;

    /// The port, three clients and a memory: a model, and behind it as many bytes of data.
    struct Rig {
        /// Where the two lie for the port; the model's end is the end of all addresses.
        bases: [u64; 2],
        port: Bench<ReadPort>,
        clients: [Client; 3],
        memory: AxiModel,
        bad_addresses: usize,
        bad_responses: usize,
    }

    struct Client {
        stream: Bench<ReadStream>,
        /// Addresses of the beats to come.
        want: VecDeque<i64>,
        run: Option<(i64, i64)>,
        taken: usize,
        /// Chance that a beat is taken.
        takes: f64,
    }

    impl Rig {
        fn new(bus: usize, bytes: usize, answers: Answers) -> Self {
            let mut rng = random(bytes as u64);
            let client = || Client {
                stream: Bench::new(ReadStream::new(bus, 32, 24), |b| &mut b.clk_i),
                want: VecDeque::new(),
                run: None,
                taken: 0,
                takes: 1.0,
            };
            let content = (0..2 * bytes).map(|_| rng.random()).collect();
            let address_bits = [32, 40, 63, 64][bus / 64 % 4];
            let model = (u64::MAX >> (64 - address_bits)) - bytes as u64 + 1;
            let data = rng.random_range(0..(model - bytes as u64) >> PAGE_BITS) << PAGE_BITS;
            let mut rig = Self {
                bases: [model, data],
                port: Bench::new(ReadPort::new(bus, address_bits, 32), |b| &mut b.clk_i),
                clients: [client(), client(), client()],
                memory: AxiModel::new(content, bus, answers, 1),
                bad_addresses: 0,
                bad_responses: 0,
            };
            let port = &mut rig.port.block;
            (port.model_limit_i.next, port.data_limit_i.next) = (bytes as i64, bytes as i64);
            (port.model_base_i.next, port.data_base_i.next) =
                ((model >> PAGE_BITS) as i64, (data >> PAGE_BITS) as i64);
            rig.cycle(false, &mut rng);
            rig
        }

        fn idle(&self) -> bool {
            self.port.block.idle_o.val() && self.clients.iter().all(|c| c.stream.block.is_idle())
        }

        /// Where in the memory's bytes the address `at` of the port is.
        fn place(&self, at: u64) -> i64 {
            let half = self.memory.bytes.len() / 2;
            let [model, data] = self.bases.map(|base| at.wrapping_sub(base) as usize);
            if model < half { model as i64 } else { (half + data) as i64 }
        }

        /// One cycle; the beats that are taken must be the memory's.
        fn cycle(&mut self, running: bool, rng: &mut ChaCha8Rng) {
            let port = &self.port.block;
            let shown = port.m_axi_arvalid_o.val().then(|| port.m_axi_araddr_o.val() as u64);
            let shown = shown.map(|at| (self.place(at), port.m_axi_arlen_o.val()));
            let pins = self.memory.read(shown);
            let port = &mut self.port.block;
            port.rst_ni.next = running;
            port.m_axi_arready_i.next = pins.arready;
            port.m_axi_rvalid_i.next = pins.rvalid;
            (port.m_axi_rresp_i.next, port.m_axi_rlast_i.next) = (pins.rresp, pins.rlast);
            port.m_axi_rdata_i.drive(|i| pins.rdata.get(i).copied().unwrap_or_default());
            let [weights, acts, command] = &self.clients;
            for (client, valid, addr, len) in [
                (
                    weights,
                    &mut port.weights_ar_valid_i,
                    &mut port.weights_ar_addr_i,
                    &mut port.weights_ar_len_i,
                ),
                (acts, &mut port.acts_ar_valid_i, &mut port.acts_ar_addr_i, &mut port.acts_ar_len_i),
                (
                    command,
                    &mut port.command_ar_valid_i,
                    &mut port.command_ar_addr_i,
                    &mut port.command_ar_len_i,
                ),
            ] {
                let stream = &client.stream.block;
                valid.next = running && stream.ar_valid_o.val();
                (addr.next, len.next) = (stream.ar_addr_o.val(), stream.ar_len_o.val());
            }
            port.clk_i.next = false.into();
            assert!(simulate(port, 100));
            let ready =
                [port.weights_ar_ready_o.val(), port.acts_ar_ready_o.val(), port.command_ar_ready_o.val()];
            let push = [port.weights_push_o.val(), port.acts_push_o.val(), port.command_push_o.val()];
            assert!(push.iter().filter(|&&p| p).count() <= 1);
            let beat = port.beat_o.val();
            for (c, client) in self.clients.iter_mut().enumerate() {
                let bytes = beat.len() as i64 * 4;
                let stream = &mut client.stream.block;
                stream.rst_ni.next = running;
                stream.ar_ready_i.next = running && ready[c];
                stream.push_i.next = running && push[c];
                stream.beat_i.drive(|i| beat[i]);
                stream.run_valid_i.next = running && client.run.is_some();
                (stream.run_addr_i.next, stream.run_beats_i.next) = client.run.unwrap_or_default();
                if stream.run_valid_i.next && stream.run_ready_o.val() {
                    let (addr, beats) = client.run.take().unwrap_or_default();
                    client.want.extend((0..beats).map(|i| addr + i * bytes));
                }
                stream.take_i.next = running && stream.valid_o.val() && rng.random_bool(client.takes);
                if stream.take_i.next {
                    let data = if c == 1 { self.memory.bytes.len() / 2 } else { 0 };
                    let at = data + client.want.pop_front().unwrap() as usize;
                    let want = words(&self.memory.bytes[at..at + bytes as usize]);
                    assert_eq!(stream.beat_o.val().to_vec(), want, "client {c}, address {at:#x}");
                    client.taken += 1;
                }
                client.stream.cycle();
            }
            self.port.cycle();
            let port = &self.port.block;
            self.bad_addresses += port.bad_address_o.val() as usize;
            self.bad_responses += port.bad_response_o.val() as usize;
        }
    }

    #[test]
    fn three_clients_get_their_beats() {
        for (bus, latency, stalls, most) in [(64, 5, 30, 40), (128, 20, 10, 100), (512, 1, 0, 3)] {
            let bytes = bus as i64 / 8;
            let mut rig = Rig::new(bus, 1 << 16, Answers { latency, stalls, errors: vec![] });
            let mut rng = random(latency as u64);
            for t in 0..3000 {
                for (c, client) in rig.clients.iter_mut().enumerate() {
                    client.takes = [1.0, 0.7, 0.3][(c + t / 1000) % 3];
                    if client.run.is_none() && t < 2500 && rng.random_bool(0.1) {
                        let beats = rng.random_range(1..=most);
                        client.run = Some((rng.random_range(0..(1 << 16) / bytes - beats) * bytes, beats));
                    }
                }
                rig.cycle(true, &mut rng);
            }
            while !(rig.idle() && rig.memory.is_idle()) {
                rig.clients.iter_mut().for_each(|c| c.takes = 1.0);
                rig.cycle(true, &mut rng);
                assert!(rig.port.vectors() < 6000, "it hangs");
            }
            assert!(rig.clients.iter().all(|c| c.taken > 100 && c.want.is_empty()));
            assert_eq!((rig.bad_addresses, rig.bad_responses), (0, 0));
            rig.port.verilog("read_port", 100);
        }
    }

    /// Beats a cycle of one client.
    fn rate(stalls: u32, beats: i64, cycles: usize) -> f64 {
        let mut rig = Rig::new(128, 1 << 20, Answers { latency: 20, stalls, errors: vec![] });
        let mut rng = random(3);
        for t in 0..cycles {
            if rig.clients[0].run.is_none() {
                rig.clients[0].run = Some(((t as i64 * 16) % (1 << 15), beats));
            }
            rig.cycle(true, &mut rng);
        }
        rig.clients[0].taken as f64 / cycles as f64
    }

    #[test]
    fn one_client_gets_a_beat_a_cycle() {
        assert!(rate(0, 20_000, 3000) > 0.97);
        assert!(rate(10, 20_000, 3000) > 0.97 * 0.9);
        assert!(rate(0, 40, 3000) > 0.9);
        assert!(rate(0, 1, 3000) > 0.48);
    }

    #[test]
    fn a_burst_beyond_the_limit_is_not_shown() {
        let limits = [(1024, true), (1023, false), (1025, true), (1008, false), (0, false)];
        for (client, (limit, fits)) in [0, 1, 2].into_iter().flat_map(|c| limits.map(|l| (c, l))) {
            let mut rig = Rig::new(128, 4096, Answers { latency: 3, stalls: 0, errors: vec![] });
            let mut rng = random(1);
            let port = &mut rig.port.block;
            let limits = [&mut port.model_limit_i, &mut port.data_limit_i];
            limits
                .into_iter()
                .enumerate()
                .for_each(|(i, l)| l.next = if (client == 1) == (i == 1) { limit } else { 0 });
            rig.clients[client].run = Some((1024 - 3 * 16, 3));
            for _ in 0..30 {
                rig.cycle(true, &mut rng);
            }
            assert_eq!((rig.memory.beats_read, rig.bad_addresses), if fits { (3, 0) } else { (0, 1) });
            assert!(rig.port.block.idle_o.val());
            rig.port.verilog("read_port", 1 << 20); // the address has no value before the first burst
        }
    }

    #[test]
    fn errors_are_told_and_a_stop_ends_in_idle() {
        let answers = Answers { latency: 20, stalls: 20, errors: vec![512] };
        let mut rig = Rig::new(128, 1 << 16, answers);
        let mut rng = random(1);
        rig.clients[0].run = Some((0, 2000));
        rig.clients[2].run = Some((4096, 2000));
        for _ in 0..300 {
            rig.cycle(true, &mut rng);
        }
        assert_eq!(rig.bad_responses, 1);
        rig.port.block.stop_i.next = true;
        for _ in 0..200 {
            rig.cycle(true, &mut rng);
        }
        assert!(rig.port.block.idle_o.val() && rig.memory.is_idle());
        let beats = rig.memory.beats_read;
        for _ in 0..50 {
            rig.cycle(true, &mut rng);
        }
        assert_eq!(rig.memory.beats_read, beats);
        rig.port.verilog("read_port", 100);
    }
}
