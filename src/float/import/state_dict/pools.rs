//! Where the max pools are. Modules without weights show only as gaps in the numbers of a `Sequential`, as stages in
//! names, or not at all; what the tensors do not say is taken from the VGG with these channels, or asked for.

use super::chain::Link;
use crate::float::import::facts::Origin;
use crate::float::import::natural;
use crate::float::import::options::{Options, Pools};
use crate::net::vgg_convs;

/// Whether a pool stands behind each convolution.
#[derive(Debug, PartialEq)]
pub struct Placed {
    /// One a convolution.
    pub after: Vec<bool>,
    /// Who says so.
    pub origin: Origin,
    /// Whether the last of them is known rather than assumed.
    pub last_is_certain: bool,
}

/// The pools of `convs`.
pub fn place(convs: &[Link], options: &Options) -> Result<Placed, String> {
    let co: Vec<usize> = convs.iter().map(|l| l.layer.co()).collect();
    if let Some(pools) = &options.pools {
        let (after, option) = said(pools, &co)?;
        return Ok(Placed { after, origin: Origin::Option(option), last_is_certain: true });
    }
    let gaps: Option<Vec<usize>> = convs.windows(2).map(|pair| modules_between(&pair[0], &pair[1])).collect();
    let gaps = gaps.filter(|g| !g.is_empty());
    if options.activation.is_none()
        && let Some(i) = gaps.iter().flatten().position(|&gap| gap == 0)
    {
        let (a, b) = (&convs[i].layer.path, &convs[i + 1].layer.path);
        return Err(format!(
            "no module stands between {a} and {b}, so no ReLU; --activation relu says that there is one"
        ));
    }
    let known = known(&co);
    let (after, origin) = match (gaps, &known) {
        (Some(gaps), Some((vgg, _))) if exactly(&gaps, vgg) => (vgg.clone(), Origin::File),
        (Some(gaps), _) if by_gaps(&gaps, &co) => {
            let mut after: Vec<bool> = gaps.iter().map(|&gap| gap == 2).collect();
            after.push(true);
            (after, Origin::Assumed("from gaps in the modules' numbers; --pools, --cfg".into()))
        }
        (Some(gaps), Some((vgg, depth)))
            if gaps.iter().zip(vgg).all(|(&gap, &pool)| gap > usize::from(pool)) =>
        {
            (
                vgg.clone(),
                Origin::Assumed(format!("those of a VGG{depth} with these channels; --pools, --cfg")),
            )
        }
        (None, _) if stages(convs).is_some() => {
            let after = stages(convs).unwrap_or_default();
            (after, Origin::Assumed("from stages in the modules' names; --pools, --cfg".into()))
        }
        (None, Some((vgg, depth))) => (
            vgg.clone(),
            Origin::Assumed(format!("those of a VGG{depth} with these channels; --pools, --cfg")),
        ),
        _ => {
            return Err(format!(
                "the tensors do not say where the pools of {} convolutions are: give the convolutions between pools, \
                 such as --pools 2,2,3, or the channels and pools, such as --cfg {},M,…",
                co.len(),
                co[0]
            ));
        }
    };
    Ok(Placed { after, origin, last_is_certain: false })
}

/// Convolutions a stage, and those behind the last pool.
pub fn text(after: &[bool]) -> String {
    let mut stages = vec![];
    let mut count = 0;
    for &pool in after {
        count += 1;
        if pool {
            stages.push(count.to_string());
            count = 0;
        }
    }
    let rest = if count > 0 { format!(" and {count} without") } else { String::new() };
    format!("2×2 behind {}{rest}", stages.join(","))
}

/// The pools as the user says, with the option's name.
fn said(pools: &Pools, co: &[usize]) -> Result<(Vec<bool>, &'static str), String> {
    match pools {
        Pools::Stages(stages) => {
            let mut after: Vec<bool> = stages.iter().flat_map(|&n| (1..=n).map(move |i| i == n)).collect();
            if after.len() > co.len() || stages.contains(&0) {
                return Err(format!("--pools names {} convolutions, the file has {}", after.len(), co.len()));
            }
            after.resize(co.len(), false);
            Ok((after, "--pools"))
        }
        Pools::Configuration(parts) => {
            let channels: Vec<usize> = parts.iter().copied().flatten().collect();
            if channels != co {
                return Err(format!("--cfg says {channels:?} output channels, the file has {co:?}"));
            }
            if parts.windows(2).any(|p| p[0].is_none() && p[1].is_none()) || parts.first() == Some(&None) {
                return Err("--cfg: a pool must stand behind a convolution".into());
            }
            let places = parts.iter().enumerate().filter(|(_, p)| p.is_some());
            Ok((places.map(|(i, _)| parts.get(i + 1) == Some(&None)).collect(), "--cfg"))
        }
    }
}

/// The pools and the depth of the VGG of 11, 13, 16 or 19 layers whose channels, at some width, these are.
fn known(co: &[usize]) -> Option<(Vec<bool>, usize)> {
    [11, 13, 16, 19].into_iter().find_map(|depth| {
        let vgg = vgg_convs(depth)?;
        let fits =
            vgg.len() == co.len() && vgg.iter().zip(co).all(|((c, _), &own)| c * co[0] == own * vgg[0].0);
        fits.then(|| (vgg.iter().map(|(_, pool)| *pool).collect(), depth))
    })
}

/// Modules without weights between two layers of one `Sequential`, or of a `Sequential` of blocks that each end in
/// their ReLU. `None` where the names do not number them.
pub fn modules_between(a: &Link, b: &Link) -> Option<usize> {
    let (from, to): (Vec<&str>, Vec<&str>) =
        (a.layer.path.split('.').collect(), b.layer.path.split('.').collect());
    let at = from.iter().zip(&to).position(|(x, y)| x != y)?;
    let (x, y): (usize, usize) = (from[at].parse().ok()?, to[at].parse().ok()?);
    if from.len() != to.len() {
        return None;
    }
    if at + 1 < from.len() {
        return y.checked_sub(x);
    }
    let (x, y) = (x.checked_sub(a.layer.passed)?, y.checked_sub(b.layer.passed)?);
    let norm = a.norm.as_ref().filter(|n| n.parent() == a.layer.parent()).and_then(|n| n.index());
    // A ReLU before a batch norm stands between the two.
    let relu = usize::from(a.behind);
    y.checked_sub(norm.map_or(x, |n| n.max(x)) + 1).map(|gap| gap + relu)
}

/// Whether the gaps are those of torchvision: one module (the ReLU), two where the VGG has a pool.
fn exactly(gaps: &[usize], vgg: &[bool]) -> bool {
    gaps.iter().zip(vgg).all(|(&gap, &pool)| gap == 1 + usize::from(pool))
}

/// Whether gaps of two are pools rather than Dropout, which makes the same gaps but stands between all convolutions:
/// channels grow only where there is a gap of two, and gaps of one exist or channels grow at every gap of two.
fn by_gaps(gaps: &[usize], co: &[usize]) -> bool {
    let grows = |i: usize| co[i + 1] > co[i];
    let wide = |i: usize| gaps[i] == 2;
    let all = 0..gaps.len();
    let plain = gaps.contains(&1) || all.clone().all(|i| wide(i) == grows(i));
    gaps.contains(&2)
        && plain
        && all.into_iter().all(|i| (1..=2).contains(&gaps[i]) && (i == 0 || wide(i) || !grows(i)))
}

/// A pool behind the last convolution of each stage, where names have two numbers, stage and place.
fn stages(convs: &[Link]) -> Option<Vec<bool>> {
    let numbers: Vec<Vec<u64>> = convs.iter().map(|l| natural::numbers(&l.layer.path)).collect();
    let len = numbers.first()?.len();
    if len < 2 || numbers.iter().any(|n| n.len() != len) {
        return None;
    }
    let varies = (0..len).find(|&p| numbers.iter().any(|n| n[p] != numbers[0][p]))?;
    let stage: Vec<u64> = numbers.iter().map(|n| n[varies]).collect();
    let ascending = stage.windows(2).all(|s| s[1] == s[0] || s[1] == s[0] + 1);
    let repeats = stage.windows(2).any(|s| s[0] == s[1]);
    if !ascending || !repeats {
        return None;
    }
    let mut after: Vec<bool> = stage.windows(2).map(|s| s[0] != s[1]).collect();
    after.push(true);
    Some(after)
}

#[cfg(test)]
mod tests {
    use super::super::modules::{Kind, Module};
    use super::*;

    fn convs(names: &[(&str, usize)]) -> Vec<Link> {
        let kind = |&(path, co): &(&str, usize)| Module {
            path: path.into(),
            kind: Kind::Conv { co, ci: 3, side: 3 },
            biased: true,
            passed: 0,
        };
        let link = |n| Link { layer: kind(n), norm: None, behind: false, whole_map: false };
        names.iter().map(link).collect()
    }

    fn placed(names: &[(&str, usize)], options: &Options) -> Result<(String, String), String> {
        let placed = place(&convs(names), options)?;
        Ok((placed.after.iter().map(|&p| if p { 'M' } else { '-' }).collect(), placed.origin.to_string()))
    }

    /// The pools of public implementations, read off their module lists.
    #[test]
    fn pools_from_gaps_names_and_channels() {
        let none = Options::default();
        let stage_names = [("conv1_1", 4), ("conv1_2", 4), ("conv2_1", 9), ("conv3_1", 9)];
        assert_eq!(placed(&stage_names, &none).unwrap().0, "-MMM");
        let blocks = [("block_1.0", 4), ("block_1.2", 4), ("block_2.0", 8), ("block_2.2", 8)];
        assert_eq!(placed(&blocks, &none).unwrap().0, "-M-M");
        let gaps = [("f.0", 8), ("f.2", 8), ("f.5", 16), ("f.7", 16), ("f.10", 32)];
        assert_eq!(placed(&gaps, &none).unwrap().0, "-M-MM");
        let vgg11: Vec<(String, usize)> =
            [1, 2, 4, 4, 8, 8, 8, 8].iter().enumerate().map(|(i, &c)| (format!("c{i}"), c)).collect();
        let vgg11: Vec<(&str, usize)> = vgg11.iter().map(|(n, c)| (n.as_str(), *c)).collect();
        assert_eq!(placed(&vgg11, &none).unwrap().0, "MM-M-M-M");
        assert!(placed(&vgg11, &none).unwrap().1.contains("assumed (those of a VGG11"));
    }

    #[test]
    fn what_the_tensors_do_not_say_is_asked_for() {
        let none = Options::default();
        let dropouts = [("f.0", 8), ("f.3", 8), ("f.6", 16)];
        assert!(placed(&dropouts, &none).unwrap_err().contains("--pools 2,2,3"));
        let touching = [("f.0", 8), ("f.1", 8)];
        assert!(placed(&touching, &none).unwrap_err().starts_with("no module stands between f.0 and f.1"));
        let with = |pools| Options { pools: Some(pools), ..Options::default() };
        assert_eq!(placed(&dropouts, &with(Pools::Stages(vec![1, 1]))).unwrap().0, "MM-");
        let cfg = |text: &str| Pools::Configuration(text.split(',').map(|p| p.parse().ok()).collect());
        assert_eq!(placed(&dropouts, &with(cfg("8,8,M,16,M"))).unwrap().0, "-MM");
        assert!(placed(&dropouts, &with(cfg("8,M,M,8,16"))).unwrap_err().contains("behind a convolution"));
        assert!(placed(&dropouts, &with(cfg("8,16,M"))).unwrap_err().contains("the file has [8, 8, 16]"));
        assert!(
            placed(&dropouts, &with(Pools::Stages(vec![2, 2]))).unwrap_err().contains("names 4 convolutions")
        );
    }
}
