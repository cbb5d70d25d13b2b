fn main() {
    instar_guest_link::link_guest_at(instar_abi::REGION_IMAGE.start);
}
