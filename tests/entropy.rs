//! What the build makes of the TLS library's sources of entropy, read off the built binary.

#![allow(clippy::unwrap_used)]

use object::{File, Object, ObjectSection, ObjectSymbol, SectionKind};

/// Functions of the library that measures the processor's jitter, as their names end.
const JITTER: [&str; 2] = ["jent_entropy_init", "jent_read_entropy"];
/// What that library reads to learn the size of the caches. It is there also where symbols are stripped.
const CACHES: &str = "/sys/devices/system/cpu/cpu0/cache";
/// The function that asks the kernel.
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
    // What is not found would be found if it were there, unless the profile strips symbols.
    assert!(has(KERNEL) || !cfg!(debug_assertions), "{KERNEL}");

    let constants = binary.sections().filter(|section| {
        matches!(
            section.kind(),
            SectionKind::ReadOnlyData | SectionKind::ReadOnlyString
        )
    });
    for section in constants {
        let constants = String::from_utf8_lossy(section.data().unwrap());
        assert!(
            !constants.contains(CACHES),
            "is AWS_LC_SYS_NO_JITTER_ENTROPY set?"
        );
    }
}
