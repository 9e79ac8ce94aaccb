//! Options that choose a design point, shared by the verbs that need one.

use super::number;
use super::print::note;
use std::path::{Path, PathBuf};
use vgg2rtl::config::{
    ADDRESS_BITS, AXI_CACHES, ArrayConfig, CHANNELS, COLS, DEPTHS, FOLD_CHANNELS, FOLD_WIDTHS, ID_BITS,
    IMAGES, MAPS, MOST_ACC_BITS, Multipliers, OFFSET_BITS, PACK, Pack, ROWS, Requantize,
};
use vgg2rtl::explore::Family;
use vgg2rtl::int::IntModel;
use vgg2rtl::schedule::{Digits, digits, fit, with_digits};
use vgg2rtl::{Error, Result, store};

/// The design point: a preset or an array's size, widths from the model, and single numbers that replace them.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Design point")]
pub struct Design {
    /// Named design point: tiny, ecp5-85k, 16x16 or zcu102 [default: 16x16].
    #[arg(long, value_name = "NAME", conflicts_with = "config")]
    preset: Option<String>,
    /// Design point as JSON; nothing of it follows from the model.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Rows and columns of the array; the rest as in the preset that is nearest in size.
    #[arg(long, value_name = "ROWSxCOLS", value_parser = array)]
    array: Option<(usize, usize)>,
    /// Bits of the AXI data bus: 64, 128, 256 or 512.
    #[arg(long, value_name = "BITS", value_parser = number::count(64..=512))]
    bus: Option<usize>,
    /// Bits of an address of external memory, 32 to 64 [default: 32].
    #[arg(long, value_name = "BITS", value_parser = number::small(ADDRESS_BITS))]
    address_bits: Option<u32>,
    /// Bits of the AXI IDs; every transaction has ID 0 [default: 1].
    #[arg(long, value_name = "BITS", value_parser = number::small(ID_BITS))]
    id_bits: Option<u32>,
    /// AxCACHE of every burst: 3 for memory that no cache answers for, 15 for a coherent port [default: 3].
    #[arg(long, value_name = "VALUE", value_parser = number::small(AXI_CACHES))]
    axi_cache: Option<u32>,
    /// Bits of a weight; wider layers run by digits of it [default: those of the layers between the first and the last].
    #[arg(long, value_name = "BITS", value_parser = number::width())]
    weight_bits: Option<u32>,
    /// Bits of an activation; wider maps are planes of it [default: those between the image and what the last layer reads].
    #[arg(long, value_name = "BITS", value_parser = number::width())]
    act_bits: Option<u32>,
    /// Requantization: scale or pow2 [default: pow2 where the model allows it].
    #[arg(long, value_name = "MODE", value_parser = requantize)]
    requantize: Option<Requantize>,
    /// What the array's products are made of: dsp or lut [default: dsp].
    #[arg(long, value_name = "CELLS", value_parser = multipliers)]
    multipliers: Option<Multipliers>,
    /// Neighbouring columns that share a multiplier: 1, 2, 3, 4, or auto, as many as it holds [default: 1].
    #[arg(long, value_name = "COLUMNS", value_parser = pack)]
    pack: Option<Pack>,
    /// FPGA family whose multipliers --pack fills: ecp5, gowin, ice40, xc7 or xcup [default: ecp5].
    #[arg(long, value_name = "NAME", requires = "pack")]
    family: Option<String>,
    /// Most channels of a folded first layer; 0 leaves the folding block out.
    #[arg(long, value_name = "CHANNELS", value_parser = number::count(FOLD_CHANNELS))]
    fold: Option<usize>,
    /// Most rows or columns of a map [default: 256].
    #[arg(long, value_name = "PIXELS", value_parser = number::count(MAPS))]
    max_map: Option<usize>,
    /// Most channels of a map [default: 4096].
    #[arg(long, value_name = "CHANNELS", value_parser = number::count(CHANNELS))]
    max_channels: Option<usize>,
    /// Most images of a run [default: 256].
    #[arg(long, value_name = "IMAGES", value_parser = number::count(IMAGES))]
    max_images: Option<usize>,
    /// Bits of an address relative to a base: the program, or a run's data, may take 2^BITS bytes [default: 30].
    #[arg(long, value_name = "BITS", value_parser = number::small(OFFSET_BITS))]
    offset_bits: Option<u32>,
    #[command(flatten)]
    sizes: Sizes,
}

/// Single numbers of a design point, for every verb that makes one.
#[derive(clap::Args, Clone, Debug)]
pub struct Sizes {
    /// Bits of an accumulator [default: proven from the integers; where none are known, what their widths can need].
    #[arg(long, value_name = "BITS", value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_ACC_BITS)))]
    pub acc_bits: Option<u32>,
    /// Words of each activation lane.
    #[arg(long, value_name = "WORDS", value_parser = number::count(DEPTHS))]
    pub act_depth: Option<usize>,
    /// Words of each weight lane.
    #[arg(long, value_name = "WORDS", value_parser = number::count(DEPTHS))]
    pub weight_depth: Option<usize>,
    /// Positions of an accumulator bank.
    #[arg(long, value_name = "WORDS", value_parser = number::count(DEPTHS))]
    pub acc_depth: Option<usize>,
    /// Accumulators requantized per cycle.
    #[arg(long, value_name = "LANES", value_parser = number::count(1..=*COLS.end()))]
    pub requantizers: Option<usize>,
    /// Longest row that the folding block holds.
    #[arg(long, value_name = "PIXELS", value_parser = number::count(FOLD_WIDTHS))]
    pub fold_width: Option<usize>,
}

pub fn array(text: &str) -> std::result::Result<(usize, usize), String> {
    let (rows, cols) = text.split_once(['x', '×']).ok_or("needs rows and columns, as in 16x16")?;
    let number = |t: &str| t.parse::<usize>().map_err(|e| format!("{t:?}: {e}"));
    match (number(rows)?, number(cols)?) {
        (rows, cols) if ROWS.contains(&rows) && COLS.contains(&cols) => Ok((rows, cols)),
        _ => Err(format!("{ROWS:?} rows and {COLS:?} columns are possible")),
    }
}

pub fn requantize(text: &str) -> std::result::Result<Requantize, String> {
    match text {
        "scale" => Ok(Requantize::Scale),
        "pow2" => Ok(Requantize::Pow2),
        _ => Err("scale or pow2".into()),
    }
}

pub fn multipliers(text: &str) -> std::result::Result<Multipliers, String> {
    match text {
        "dsp" => Ok(Multipliers::Dsp),
        "lut" => Ok(Multipliers::Lut),
        _ => Err("dsp or lut".into()),
    }
}

pub fn pack(text: &str) -> std::result::Result<Pack, String> {
    match text.parse() {
        _ if text == "auto" => Ok(Pack::Auto),
        Ok(lanes) if PACK.contains(&lanes) => Ok(Pack::Lanes(lanes)),
        _ => Err(format!("{} to {} columns, or auto", PACK.start(), PACK.end())),
    }
}

impl Design {
    /// The design point for `model`, validated.
    pub fn config(&self, model: &IntModel) -> Result<ArrayConfig> {
        let mut config = match &self.config {
            Some(path) => read(path)?,
            None => fit(model, &self.base()?),
        };
        if self.config.is_none() && self.requantize.is_none() {
            note!(
                "--requantize {}",
                match config.requantize {
                    Requantize::Pow2 => "pow2: all steps of the model are powers of two apart",
                    Requantize::Scale => "scale: steps of the model are no powers of two apart",
                }
            );
        }
        self.replace(&mut config);
        if self.config.is_none() {
            config = with_digits(model, &config);
        }
        if self.sizes.requantizers.is_none() && self.config.is_none() {
            config.requantizers = config.most_requantizers();
        }
        let needed = config.psum_bits();
        if self.sizes.acc_bits.is_none() && self.config.is_none() {
            config.acc_bits = config.acc_bits.max(needed);
        }
        if let Some(pack) = self.pack {
            config = self.packed(config, pack)?;
        }
        let checked = config.validate_options().map_err(|error| match error {
            Error::Usage { option, reason } if option == "--pack" && self.family.is_none() => {
                Error::usage(option, format!("{reason}; that is an ecp5's, --family names others"))
            }
            other => other,
        });
        if let (Err(_), Some(path)) = (&checked, &self.config) {
            read(path)?.validate().map_err(|e| Error::bad_file(path, e.to_string()))?; // it may be the file's fault
        }
        checked?;
        if let Some(said) = by_digits(model, &config) {
            note!("{said}");
        }
        Ok(config)
    }

    /// `config` with columns that share multipliers; says what `auto` has chosen.
    fn packed(&self, config: ArrayConfig, pack: Pack) -> Result<ArrayConfig> {
        let family = self.family.as_deref().map_or(Ok(Family::Ecp5), Family::named)?;
        let config = config.with_pack(pack, family.multiplier_bits());
        if pack == Pack::Auto {
            let given = if self.family.is_some() { "" } else { ", as no --family is given" };
            note!("--pack auto: {} ({}{given})", reason(&config, family), family.name());
        }
        Ok(config)
    }

    /// The file of --config.
    pub fn file(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// The preset, or the one that is nearest in size to --array.
    fn base(&self) -> Result<ArrayConfig> {
        match (self.preset.as_deref(), self.array) {
            (None, Some((rows, cols))) => Ok(ArrayConfig::near(rows, cols)),
            (preset, array) => {
                let base = ArrayConfig::preset(preset.unwrap_or("16x16"))?;
                Ok(array.map_or(base.clone(), |(rows, cols)| base.with_array(rows, cols)))
            }
        }
    }

    fn replace(&self, config: &mut ArrayConfig) {
        fn set<T: Copy>(to: &mut T, by: Option<T>) {
            *to = by.unwrap_or(*to);
        }
        set(&mut config.rows, self.array.map(|a| a.0));
        set(&mut config.cols, self.array.map(|a| a.1));
        set(&mut config.bus_bits, self.bus);
        set(&mut config.address_bits, self.address_bits);
        set(&mut config.id_bits, self.id_bits);
        set(&mut config.axi_cache, self.axi_cache);
        set(&mut config.weight_bits, self.weight_bits);
        set(&mut config.act_bits, self.act_bits);
        set(&mut config.acc_bits, self.sizes.acc_bits);
        set(&mut config.act_depth, self.sizes.act_depth);
        set(&mut config.weight_depth, self.sizes.weight_depth);
        set(&mut config.acc_depth, self.sizes.acc_depth);
        set(&mut config.requantizers, self.sizes.requantizers);
        set(&mut config.requantize, self.requantize);
        set(&mut config.multipliers, self.multipliers);
        set(&mut config.fold_channels, self.fold);
        set(&mut config.max_map, self.max_map);
        set(&mut config.max_channels, self.max_channels);
        set(&mut config.max_images, self.max_images);
        set(&mut config.offset_bits, self.offset_bits);
        set(&mut config.fold_width, self.sizes.fold_width);
    }
}

/// Which layers of `model` are wider than `config`, and how they run; `None` where none is or the build has no digits.
fn by_digits(model: &IntModel, config: &ArrayConfig) -> Option<String> {
    let run = |d: &Digits| format!("{} × {} digits", d.weights, d.acts);
    let wide = model.layers.iter().zip(digits(model, config)).filter(|(_, d)| *d != Digits::ONE);
    let layers: Vec<String> = wide.map(|(layer, d)| format!("{} as {}", layer.name, run(&d))).collect();
    let said = || format!("W{}A{} build; {}", config.weight_bits, config.act_bits, layers.join(", "));
    (config.has_digits() && !layers.is_empty()).then(said)
}

/// What `auto` has chosen in `config`, and why.
fn reason(config: &ArrayConfig, family: Family) -> String {
    let lanes = config.pack;
    if config.multipliers == Multipliers::Lut {
        return "1 column a product, look-up tables have none to share".into();
    }
    let next = match lanes {
        _ if lanes == *PACK.end() || lanes == config.cols => "no more are possible".into(),
        _ => format!("{} would take {}", lanes + 1, config.packed_bits(lanes + 1)),
    };
    let columns = if lanes == 1 { "column" } else { "columns" };
    let (takes, has) = (config.packed_bits(lanes), family.multiplier_bits());
    format!("{lanes} {columns} a multiplier, whose {has} bits they take {takes} of, {next}")
}

fn read(path: &Path) -> Result<ArrayConfig> {
    let text = store::read_text(path)?;
    serde_json::from_str(&text).map_err(|e| Error::bad_file(path, e.to_string()))
}
