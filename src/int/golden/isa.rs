//! Which instructions the kernels may use, found at run time.

/// An instruction set of the fast path. Every one yields the same integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// Plain Rust, any machine.
    Portable,
    /// 256-bit `vpmaddwd`: Intel since 2013, AMD since 2015.
    Avx2,
    /// 256-bit `vpdpwssd` in the VEX encoding: Intel client machines since 2021, AMD Zen 5.
    AvxVnni,
    /// 512-bit `vpdpwssd`: Intel servers since 2019, AMD since Zen 4.
    Avx512Vnni,
}

impl Isa {
    /// Slowest first.
    pub const ALL: [Self; 4] = [Self::Portable, Self::Avx2, Self::AvxVnni, Self::Avx512Vnni];

    /// The fastest one that this machine has.
    pub fn best() -> Self {
        *Self::ALL.iter().rfind(|isa| isa.is_available()).expect("Portable always is")
    }

    /// Whether this machine has it.
    #[cfg(target_arch = "x86_64")]
    pub fn is_available(self) -> bool {
        let avx2 = is_x86_feature_detected!("avx2");
        match self {
            Self::Portable => true,
            Self::Avx2 => avx2,
            Self::AvxVnni => avx2 && is_x86_feature_detected!("avxvnni"),
            Self::Avx512Vnni => {
                avx2 && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vnni")
            }
        }
    }

    /// Whether this machine has it.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn is_available(self) -> bool {
        self == Self::Portable
    }
}

impl std::fmt::Display for Isa {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(match self {
            Self::Portable => "portable",
            Self::Avx2 => "AVX2",
            Self::AvxVnni => "AVX-VNNI",
            Self::Avx512Vnni => "AVX-512 VNNI",
        })
    }
}
