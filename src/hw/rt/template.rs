//! A child that is emitted but not simulated.

use rust_hdl::prelude::*;

/// A block whose Verilog module the parent's text instantiates (in a generate loop, say) while the parent's own
/// `update` does the work of all instances. Probes see it, connected; the simulator skips it.
pub struct Template<B>(pub B);

impl<B: Block> Logic for Template<B> {
    fn update(&mut self) {}
}

impl<B: Block> Block for Template<B> {
    fn connect_all(&mut self) {
        self.0.connect_all();
    }
    fn update_all(&mut self) {}
    fn has_changed(&self) -> bool {
        false
    }
    fn accept(&self, name: &str, probe: &mut dyn Probe) {
        self.0.accept(name, &mut ShowConnected(probe));
    }
}

/// Passes everything on, with every atom connected: the text that instantiates the child connects it.
struct ShowConnected<'a>(&'a mut dyn Probe);

impl Probe for ShowConnected<'_> {
    fn visit_start_scope(&mut self, name: &str, node: &dyn Block) {
        self.0.visit_start_scope(name, node)
    }
    fn visit_start_namespace(&mut self, name: &str, node: &dyn Block) {
        self.0.visit_start_namespace(name, node)
    }
    fn visit_atom(&mut self, name: &str, signal: &dyn Atom) {
        self.0.visit_atom(name, &Connected(signal))
    }
    fn visit_end_namespace(&mut self, name: &str, node: &dyn Block) {
        self.0.visit_end_namespace(name, node)
    }
    fn visit_end_scope(&mut self, name: &str, node: &dyn Block) {
        self.0.visit_end_scope(name, node)
    }
}

struct Connected<'a>(&'a dyn Atom);

impl Atom for Connected<'_> {
    fn bits(&self) -> usize {
        self.0.bits()
    }
    fn connected(&self) -> bool {
        true
    }
    fn changed(&self) -> bool {
        self.0.changed()
    }
    fn kind(&self) -> AtomKind {
        self.0.kind()
    }
    fn descriptor(&self) -> TypeDescriptor {
        self.0.descriptor()
    }
    fn vcd(&self) -> VCDValue {
        self.0.vcd()
    }
    fn id(&self) -> usize {
        self.0.id()
    }
    fn verilog(&self) -> VerilogLiteral {
        self.0.verilog()
    }
    fn constraints(&self) -> Vec<PinConstraint> {
        self.0.constraints()
    }
}
