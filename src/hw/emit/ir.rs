//! Kernels after lowering: names resolved, loops unrolled, everything an exact integer.

use std::collections::HashSet;

/// Operators of two integers or two `bool`s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Add,
    Sub,
    Mul,
    And,
    Or,
    Xor,
    Shl,
    Shr,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    /// `&&`
    Both,
    /// `||`
    Either,
}

/// An expression whose value is an integer, or a `bool` as 0 or 1.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    Signal(String),
    Const(i128),
    Not(Box<Expr>),
    Neg(Box<Expr>),
    Binary(Op, Box<Expr>, Box<Expr>),
}

/// A statement; the last write of a pass counts, as in the kernel.
#[derive(Clone, Debug, PartialEq)]
pub enum Stmt {
    Set(String, Expr),
    If(Expr, Vec<Stmt>, Vec<Stmt>),
    /// A comment on what follows.
    Note(String),
    /// Arms in order; the pattern is a number, the name of a state, or `default`.
    Case(Expr, Vec<(String, Vec<Stmt>)>),
}

impl Expr {
    /// Calls `f` with every signal read.
    pub fn each_read<'a>(&'a self, f: &mut dyn FnMut(&'a str)) {
        match self {
            Expr::Signal(name) => f(name),
            Expr::Const(_) => {}
            Expr::Not(x) | Expr::Neg(x) => x.each_read(f),
            Expr::Binary(_, l, r) => {
                l.each_read(f);
                r.each_read(f);
            }
        }
    }
}

impl Stmt {
    /// The statements directly inside.
    fn inner(&self) -> Box<dyn Iterator<Item = &Stmt> + '_> {
        match self {
            Stmt::Set(..) | Stmt::Note(_) => Box::new(std::iter::empty()),
            Stmt::If(_, then, otherwise) => Box::new(then.iter().chain(otherwise)),
            Stmt::Case(_, arms) => Box::new(arms.iter().flat_map(|(_, body)| body)),
        }
    }

    /// Calls `f` with every signal read, conditions included.
    pub fn each_read<'a>(&'a self, f: &mut dyn FnMut(&'a str)) {
        match self {
            Stmt::Set(_, e) | Stmt::If(e, ..) | Stmt::Case(e, _) => e.each_read(f),
            Stmt::Note(_) => {}
        }
        self.inner().for_each(|s| s.each_read(f));
    }

    /// Calls `f` with the target of every assignment.
    pub fn each_write<'a>(&'a self, f: &mut dyn FnMut(&'a str)) {
        if let Stmt::Set(target, _) = self {
            f(target);
        }
        self.inner().for_each(|s| s.each_write(f));
    }

    /// Calls `f` with every signal read and every pattern of a case.
    pub fn each_name<'a>(&'a self, f: &mut dyn FnMut(&'a str)) {
        self.each_read(f);
        self.each_pattern(f);
    }

    fn each_pattern<'a>(&'a self, f: &mut dyn FnMut(&'a str)) {
        if let Stmt::Case(_, arms) = self {
            arms.iter().for_each(|(pattern, _)| f(pattern));
        }
        self.inner().for_each(|s| s.each_pattern(f));
    }

    pub fn reads(&self) -> HashSet<&str> {
        let mut names = HashSet::new();
        self.each_read(&mut |n| {
            names.insert(n);
        });
        names
    }

    pub fn writes(&self) -> HashSet<&str> {
        let mut names = HashSet::new();
        self.each_write(&mut |n| {
            names.insert(n);
        });
        names
    }
}

/// `body` without the assignments to signals that `keep` refuses, and without what is empty then, or comments nothing.
pub fn prune(body: &[Stmt], keep: &dyn Fn(&str) -> bool) -> Vec<Stmt> {
    let mut kept: Vec<Stmt> = vec![];
    for stmt in body.iter().filter_map(|s| prune_one(s, keep)) {
        if matches!((kept.last(), &stmt), (Some(Stmt::Note(_)), Stmt::Note(_))) {
            kept.pop();
        }
        kept.push(stmt);
    }
    kept.pop_if(|last| matches!(last, Stmt::Note(_)));
    kept
}

fn prune_one(stmt: &Stmt, keep: &dyn Fn(&str) -> bool) -> Option<Stmt> {
    match stmt {
        Stmt::Set(target, _) => keep(target).then(|| stmt.clone()),
        Stmt::Note(_) => Some(stmt.clone()),
        Stmt::If(test, then, otherwise) => {
            let (then, otherwise) = (prune(then, keep), prune(otherwise, keep));
            let empty = then.is_empty() && otherwise.is_empty();
            (!empty).then(|| Stmt::If(test.clone(), then, otherwise))
        }
        Stmt::Case(test, arms) => {
            let arms: Vec<_> = arms.iter().map(|(p, body)| (p.clone(), prune(body, keep))).collect();
            let empty = arms.iter().all(|(_, body)| body.is_empty());
            (!empty).then(|| Stmt::Case(test.clone(), arms))
        }
    }
}

/// `stmt` with the target of every assignment renamed.
pub fn retarget(stmt: &Stmt, name: &dyn Fn(&str) -> String) -> Stmt {
    let all = |body: &[Stmt]| body.iter().map(|s| retarget(s, name)).collect::<Vec<_>>();
    match stmt {
        Stmt::Set(target, e) => Stmt::Set(name(target), e.clone()),
        Stmt::Note(_) => stmt.clone(),
        Stmt::If(test, then, otherwise) => Stmt::If(test.clone(), all(then), all(otherwise)),
        Stmt::Case(test, arms) => {
            Stmt::Case(test.clone(), arms.iter().map(|(p, body)| (p.clone(), all(body))).collect())
        }
    }
}
