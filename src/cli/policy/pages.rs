//! The pages of `docs/findings/`, in the program: whoever meets a code at a terminal has its page there.
//!
//! Decides nothing. Tests hold the list to the codes and to the directory.

use crate::policy::Code;

/// The page of a code.
pub(super) fn of(code: Code) -> Option<&'static str> {
    PAGES.iter().find(|(id, _)| *id == code.id()).map(|(_, page)| *page)
}

const PAGES: &[(&str, &str)] = &[
    ("P0001", include_str!("../../../docs/findings/P0001.md")),
    ("P0002", include_str!("../../../docs/findings/P0002.md")),
    ("P0003", include_str!("../../../docs/findings/P0003.md")),
    ("P0004", include_str!("../../../docs/findings/P0004.md")),
    ("P0005", include_str!("../../../docs/findings/P0005.md")),
    ("P0006", include_str!("../../../docs/findings/P0006.md")),
    ("P0007", include_str!("../../../docs/findings/P0007.md")),
    ("P0008", include_str!("../../../docs/findings/P0008.md")),
    ("P0009", include_str!("../../../docs/findings/P0009.md")),
    ("P0101", include_str!("../../../docs/findings/P0101.md")),
    ("P0102", include_str!("../../../docs/findings/P0102.md")),
    ("P0103", include_str!("../../../docs/findings/P0103.md")),
    ("P0104", include_str!("../../../docs/findings/P0104.md")),
    ("P0105", include_str!("../../../docs/findings/P0105.md")),
    ("P0106", include_str!("../../../docs/findings/P0106.md")),
    ("P0107", include_str!("../../../docs/findings/P0107.md")),
    ("P0108", include_str!("../../../docs/findings/P0108.md")),
    ("P0109", include_str!("../../../docs/findings/P0109.md")),
    ("P0110", include_str!("../../../docs/findings/P0110.md")),
    ("P0111", include_str!("../../../docs/findings/P0111.md")),
    ("P0201", include_str!("../../../docs/findings/P0201.md")),
    ("P0202", include_str!("../../../docs/findings/P0202.md")),
    ("P0203", include_str!("../../../docs/findings/P0203.md")),
    ("P0204", include_str!("../../../docs/findings/P0204.md")),
    ("P0205", include_str!("../../../docs/findings/P0205.md")),
    ("P0206", include_str!("../../../docs/findings/P0206.md")),
    ("P0207", include_str!("../../../docs/findings/P0207.md")),
    ("P0208", include_str!("../../../docs/findings/P0208.md")),
    ("P0209", include_str!("../../../docs/findings/P0209.md")),
    ("P0301", include_str!("../../../docs/findings/P0301.md")),
    ("P0302", include_str!("../../../docs/findings/P0302.md")),
    ("P0303", include_str!("../../../docs/findings/P0303.md")),
    ("P0304", include_str!("../../../docs/findings/P0304.md")),
    ("P0305", include_str!("../../../docs/findings/P0305.md")),
    ("P0306", include_str!("../../../docs/findings/P0306.md")),
    ("P0307", include_str!("../../../docs/findings/P0307.md")),
    ("P0308", include_str!("../../../docs/findings/P0308.md")),
    ("P0309", include_str!("../../../docs/findings/P0309.md")),
    ("P0310", include_str!("../../../docs/findings/P0310.md")),
    ("P0311", include_str!("../../../docs/findings/P0311.md")),
    ("P0312", include_str!("../../../docs/findings/P0312.md")),
    ("P0313", include_str!("../../../docs/findings/P0313.md")),
    ("P0314", include_str!("../../../docs/findings/P0314.md")),
    ("P0315", include_str!("../../../docs/findings/P0315.md")),
    ("P0316", include_str!("../../../docs/findings/P0316.md")),
    ("P0401", include_str!("../../../docs/findings/P0401.md")),
    ("P0402", include_str!("../../../docs/findings/P0402.md")),
    ("P0403", include_str!("../../../docs/findings/P0403.md")),
    ("P0404", include_str!("../../../docs/findings/P0404.md")),
    ("P0405", include_str!("../../../docs/findings/P0405.md")),
    ("P0406", include_str!("../../../docs/findings/P0406.md")),
    ("P0407", include_str!("../../../docs/findings/P0407.md")),
    ("P0408", include_str!("../../../docs/findings/P0408.md")),
    ("P0409", include_str!("../../../docs/findings/P0409.md")),
    ("P0410", include_str!("../../../docs/findings/P0410.md")),
    ("P0411", include_str!("../../../docs/findings/P0411.md")),
];
