//! Generates the crate of the public contracts: `flowmesh-generator IMAGE FOLDER`.

use std::{env, error::Error, fs};

use prost::Message;
use prost_types::FileDescriptorSet;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [image, folder] = arguments.as_slice() else {
        return Err("usage: flowmesh-generator IMAGE FOLDER".into());
    };
    let files = FileDescriptorSet::decode(fs::read(image)?.as_slice())?;
    tonic_prost_build::configure()
        .build_server(false)
        .build_transport(false)
        .emit_rerun_if_changed(false)
        .out_dir(folder)
        .include_file("lib.rs")
        .compile_fds(files)?;
    Ok(())
}
