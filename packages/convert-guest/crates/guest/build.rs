fn main() {
    instar_guest_link::link_at(instar_abi::REGION_IMAGE.start);
}
