//! Memory and instruction set of EC2 instance types, derived from their names.

use crate::domain::function::Architecture;

/// The memory and instruction set of an instance type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// Memory in MB of 1,048,576 bytes.
    pub memory_mb: u32,
    /// Instruction set.
    pub architecture: Architecture,
}

/// Returns the shape of a type in the C, M and R families from the sixth generation on, which Lambda's managed
/// instances use. They have 2, 4 and 8 GiB per vCPU, and Graviton types have a `g` in the name.
///
/// Source: Amazon EC2 instance types, <https://aws.amazon.com/ec2/instance-types/>, 2026-11.
pub(super) fn shape(instance: &str) -> Option<Shape> {
    let (family, size) = instance.split_once('.')?;
    let (kind, rest) = family.split_at_checked(1)?;
    let gib_per_vcpu = match kind {
        "c" => 2,
        "m" => 4,
        "r" => 8,
        _ => return None,
    };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (generation, attributes) = rest.split_at_checked(digits)?;
    if generation.parse::<u32>().ok()? < 6 {
        return None;
    }
    let vcpus = match size {
        "large" => 2,
        "xlarge" => 4,
        _ => size.strip_suffix("xlarge")?.parse::<u32>().ok()?.checked_mul(4)?,
    };
    let architecture = if attributes.contains('g') { Architecture::Arm64 } else { Architecture::X86_64 };
    Some(Shape { memory_mb: vcpus.checked_mul(gib_per_vcpu * 1_024)?, architecture })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shape_follows_from_name() {
        for (name, gib, architecture) in [
            ("c7g.xlarge", 8, Architecture::Arm64),
            ("c7i.xlarge", 8, Architecture::X86_64),
            ("m7g.large", 8, Architecture::Arm64),
            ("r7g.xlarge", 32, Architecture::Arm64),
            ("m6idn.2xlarge", 32, Architecture::X86_64),
            ("c7gn.16xlarge", 128, Architecture::Arm64),
        ] {
            assert_eq!(shape(name), Some(Shape { memory_mb: gib * 1024, architecture }), "{name}");
        }
        for name in ["c5n.xlarge", "t4g.micro", "m7g.medium", "x2gd.large", "m7g", "", "µ7.large", "m.large"]
        {
            assert_eq!(shape(name), None, "{name}");
        }
    }
}
