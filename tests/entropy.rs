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
    for function in JITTER {
        assert!(
            !has(function),
            "{function}: is AWS_LC_SYS_NO_JITTER_ENTROPY set?"
        );
    }
    // A missing function would be found if it were there, unless the profile strips symbols.
    assert!(has(KERNEL) || !cfg!(debug_assertions), "{KERNEL}");

    let cutoffs = CUTOFFS.map(u32::to_ne_bytes).concat();
    let is_constant = |kind| {
        matches!(
            kind,
            SectionKind::ReadOnlyData | SectionKind::ReadOnlyString
        )
    };
    let constants: Vec<_> = binary
        .sections()
        .filter(|section| is_constant(section.kind()))
        .map(|section| section.data().unwrap())
        .collect();
    assert!(!constants.is_empty());
    for constants in constants {
        let mut found = constants.windows(cutoffs.len());
        assert!(
            !found.any(|bytes| bytes == cutoffs),
            "its cutoffs: is AWS_LC_SYS_NO_JITTER_ENTROPY set?"
        );
    }
}
