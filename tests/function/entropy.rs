//! Which of the TLS library's sources of entropy are in the build, as shown by the built binary.

use object::{File, Object, ObjectSection, ObjectSymbol, SectionKind};

/// The endings of the names of the functions that measure the processor's jitter.
const JITTER: [&str; 2] = ["jent_entropy_init_ex", "jent_read_entropy"];
/// The beginning of that library's table of cutoffs for its own health test, which is there even if
/// symbols are stripped.
const CUTOFFS: [u32; 4] = [325, 422, 459, 477];
/// The function that gets entropy from the kernel.
const KERNEL: &str = "CRYPTO_sysrand";

#[test]
fn entropy_comes_from_the_kernel_and_not_from_the_processors_jitter() {
    let binary = std::fs::read(env!("CARGO_BIN_EXE_rekognition-stopper")).unwrap();
    let binary = File::parse(&*binary).unwrap();
    let symbols = || binary.symbols().filter_map(|symbol| symbol.name().ok());
    let has = |function: &str| symbols().any(|symbol| symbol.ends_with(function));
    // A missing function would be found if it were there, unless the profile strips symbols.
    assert!(has(KERNEL) || !cfg!(debug_assertions), "{KERNEL}");
    let is_constant =
        |kind| [SectionKind::ReadOnlyData, SectionKind::ReadOnlyString].contains(&kind);
    let sections = binary
        .sections()
        .filter(|section| is_constant(section.kind()));
    let constants = Vec::from_iter(sections.map(|section| section.data().unwrap()));
    assert!(!constants.is_empty());
    let cutoffs = CUTOFFS.map(u32::to_ne_bytes).concat();
    let mut places = constants
        .iter()
        .flat_map(|data| data.windows(cutoffs.len()));
    let has_jitter = JITTER.iter().any(|function| has(function));
    assert!(
        !has_jitter && !places.any(|bytes| bytes == cutoffs),
        "is AWS_LC_SYS_NO_JITTER_ENTROPY set?"
    );
}
